import { createPrivateKey, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import sshpk from 'sshpk';
import { InvalidInputError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { cleanLine } from '../../core/untrusted-text.ts';
import type { SshKeyInfo } from '../contract.ts';
import { RSA_SHA2_256, RSA_SHA2_512 } from './agent-messages.ts';
import { fingerprintOf } from './fingerprint.ts';
import { WireError, wire } from './wire.ts';

export type SshKeyType = SshKeyInfo['type'];

const RSA_BITS = 3072;
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;
const MAX_COMMENT = 200;

export interface KeyPair {
  readonly type: SshKeyType;
  /** PKCS#8 PEM. */
  readonly privateKey: Secret;
  /** As it is on the wire (RFC 4253 section 6.6). */
  readonly blob: Buffer;
}

export async function generateSshKey(type: SshKeyType): Promise<KeyPair> {
  const generate = promisify(generateKeyPair);
  const { privateKey } =
    type === 'rsa' ? await generate('rsa', { modulusLength: RSA_BITS }) : await generate('ed25519', {});
  return toKeyPair(privateKey, type);
}

/**
 * Reads a private key as OpenSSH or OpenSSL write it. Throws InvalidInputError, never with a word of the key: for a
 * passphrase, for a kind that tasks cannot have, for what is no key.
 */
export function parsePrivateKey(text: Secret, file: string): KeyPair & { readonly comment: string } {
  const parsed = parseAnyForm(text, file);
  if (parsed.type === 'ed25519') {
    const [x, d] = ['A', 'k'].map((wanted) =>
      parsed.parts.find(({ name }) => name === wanted)?.data.toString('base64url'),
    );
    if (x === undefined || d === undefined) throw unreadable(file);
    const key = asKeyObject(file, () =>
      createPrivateKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x, d } }),
    );
    return { ...toKeyPair(key, 'ed25519'), comment: parsed.comment ?? '' };
  }
  if (parsed.type !== 'rsa' || parsed.size < MIN_RSA_BITS || parsed.size > MAX_RSA_BITS) {
    throw new InvalidInputError(
      `${file} is a key that tasks cannot have: ${cleanLine(parsed.type, 20)}, ${parsed.size} bits`,
      {
        hint: `Use ed25519, or rsa of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits; without the file a new key is made.`,
      },
    );
  }
  const key = asKeyObject(file, () => createPrivateKey(parsed.toString('pkcs8')));
  return { ...toKeyPair(key, 'rsa'), comment: parsed.comment ?? '' };
}

function parseAnyForm(text: Secret, file: string): sshpk.PrivateKey {
  try {
    return sshpk.parsePrivateKey(text.reveal(), 'auto', { filename: file });
  } catch (error) {
    if (error instanceof sshpk.KeyEncryptedError) {
      throw new InvalidInputError(`${file} is under a passphrase`, {
        hint: `Take the passphrase off a copy in its place (ssh-keygen -p -f ${file}), or move the file away: then a new key is made.`,
      });
    }
    throw unreadable(file);
  }
}

function asKeyObject(file: string, make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch {
    throw unreadable(file);
  }
}

const unreadable = (file: string): InvalidInputError =>
  new InvalidInputError(`${file} is no private key that can be read`, {
    hint: 'Move it away, and a new key is made.',
  });

function toKeyPair(key: KeyObject, type: SshKeyType): KeyPair {
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { type, privateKey: new Secret(pem), blob: blobOf(key) };
}

function blobOf(key: KeyObject): Buffer {
  const { kty, x = '', n = '', e = '' } = key.export({ format: 'jwk' });
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
  return kty === 'RSA'
    ? Buffer.concat([wire.string('ssh-rsa'), wire.mpint(bytes(e)), wire.mpint(bytes(n))])
    : Buffer.concat([wire.string('ssh-ed25519'), wire.string(bytes(x))]);
}

/** What is known of a key without its private part. */
export function describeKey(
  project: string,
  { type, blob }: Pick<KeyPair, 'type' | 'blob'>,
  { comment, createdAt }: { readonly comment: string; readonly createdAt: string },
): SshKeyInfo {
  const shown = cleanLine(comment, MAX_COMMENT).replaceAll('\\n', ' ').trim();
  return {
    project,
    type,
    fingerprint: fingerprintOf(blob),
    publicKey: `ssh-${type} ${blob.toString('base64')} ${shown}`.trimEnd(),
    comment: shown,
    createdAt,
  };
}

/** The key on the wire, out of its line. */
export const blobOfLine = (publicKey: string): Buffer => Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');

/** How a key of this type may sign. Never with SHA-1. */
export function algorithmFor(type: SshKeyType, flags: number): string | undefined {
  if (type === 'ed25519') return flags === 0 ? 'ssh-ed25519' : undefined;
  return RSA_BY_FLAGS.get(flags);
}
const RSA_BY_FLAGS: ReadonlyMap<number, string> = new Map([
  [RSA_SHA2_256, 'rsa-sha2-256'],
  [RSA_SHA2_512, 'rsa-sha2-512'],
]);
const HASHES: ReadonlyMap<string, string | null> = new Map([
  ['ssh-ed25519', null],
  ['rsa-sha2-256', 'sha256'],
  ['rsa-sha2-512', 'sha512'],
]);

/** A signature as the agent protocol answers with it. `algorithm` is one that `algorithmFor` gave. */
export function signWithKey(privateKey: Secret, algorithm: string, data: Uint8Array): Buffer {
  const hash = HASHES.get(algorithm);
  if (hash === undefined) throw new WireError('no such algorithm');
  return Buffer.concat([
    wire.string(algorithm),
    wire.string(sign(hash, data, createPrivateKey(privateKey.reveal()))),
  ]);
}
