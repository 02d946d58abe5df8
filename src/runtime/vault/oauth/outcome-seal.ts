import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Renewal } from '../parts.ts';
import type { OAuthCredential } from '../stored-credential.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * What an outcome is sealed with until it is in the vault. Made of the tokens that the renewal replaces, which only the
 * vault holds, so the next run of the daemon can make it again, and nothing has to be kept beside the outcome.
 */
export function sealingKey({ id }: Pick<Renewal, 'id'>, credential: OAuthCredential): Buffer {
  const secret = JSON.stringify([credential.access_token, credential.refresh_token]);
  return Buffer.from(hkdfSync('sha256', secret, id, 'terok renewal outcome', KEY_BYTES));
}

/** AES-256-GCM: nonce, tag, text. The key is used for this one text; the id is authenticated with it. */
export function sealOutcome(text: string, key: Uint8Array, id: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(id));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
}

/** Undefined for what was not sealed with this key for this id. */
export function openOutcome(bytes: Uint8Array, key: Uint8Array, id: string): string | undefined {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(Buffer.from(id))
      .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const text = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}
