import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const KEY_BYTES = 32;

/** What a sealed value belongs to: it opens under the very same words alone. */
export type Binding = readonly (string | number)[];

/**
 * AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce: nonce, tag, ciphertext. The binding is authenticated and
 * not stored.
 */
export function seal(key: Uint8Array, plain: Uint8Array | string, binding: Binding): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated(binding));
  const text = Buffer.concat([cipher.update(Buffer.from(plain)), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]);
}

/** Undefined for another key, another binding, or a value that was changed: which of them cannot be told. */
export function unseal(key: Uint8Array, sealed: Uint8Array, binding: Binding): Buffer | undefined {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(associated(binding));
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}

const associated = (binding: Binding): Buffer => Buffer.from(JSON.stringify(binding));
