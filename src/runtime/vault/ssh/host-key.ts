import { createPublicKey, verify } from 'node:crypto';
import sshpk from 'sshpk';
import type { SessionBind } from './agent-messages.ts';
import { keyType } from './known-hosts.ts';
import { WireReader } from './wire.ts';

/** By algorithm of a signature: the kind of key it is made with, and its hash. SHA-1 and DSA are not among them. */
const ALGORITHMS: ReadonlyMap<string, { readonly key: string; readonly hash: string | null }> = new Map([
  ['ssh-ed25519', { key: 'ssh-ed25519', hash: null }],
  ['ecdsa-sha2-nistp256', { key: 'ecdsa-sha2-nistp256', hash: 'sha256' }],
  ['ecdsa-sha2-nistp384', { key: 'ecdsa-sha2-nistp384', hash: 'sha384' }],
  ['ecdsa-sha2-nistp521', { key: 'ecdsa-sha2-nistp521', hash: 'sha512' }],
  ['rsa-sha2-256', { key: 'ssh-rsa', hash: 'sha256' }],
  ['rsa-sha2-512', { key: 'ssh-rsa', hash: 'sha512' }],
]);
/** An RSA key of 16384 bits and what stands around it. */
const MAX_KEY_BYTES = 4096;
/** Exchange hashes are 20 to 64 bytes. */
const SESSION_BYTES = { min: 16, max: 128 } as const;

/**
 * Whether the host that owns this key signed this session's id, as it did when the session began (RFC 4253 section 8).
 * Anything that cannot be read or checked is a no.
 */
export function isSignedByHost({
  hostKey,
  sessionId,
  signature,
}: Omit<SessionBind, 'isForwarding'>): boolean {
  if (hostKey.length > MAX_KEY_BYTES || signature.length > MAX_KEY_BYTES) return false;
  if (sessionId.length < SESSION_BYTES.min || sessionId.length > SESSION_BYTES.max) return false;
  try {
    const reader = new WireReader(signature);
    const algorithm = ALGORITHMS.get(reader.text(64));
    const bytes = reader.string();
    reader.end();
    if (algorithm === undefined || keyType(hostKey) !== algorithm.key) return false;
    const parsed = sshpk.parseKey(hostKey, 'rfc4253');
    // What has another spelling than its own is not what known_hosts holds, either.
    if (!parsed.toBuffer('rfc4253').equals(hostKey)) return false;
    const proof = algorithm.key.startsWith('ecdsa-')
      ? sshpk.parseSignature(signature, 'ecdsa', 'ssh').toBuffer('asn1')
      : bytes;
    return verify(algorithm.hash, sessionId, createPublicKey(parsed.toString('pkcs8')), proof);
  } catch {
    return false;
  }
}

/** The only keys that a host may be known by here. */
export const isHostKeyType = (type: string): boolean =>
  [...ALGORITHMS.values()].some(({ key }) => key === type);
