import { createHash } from 'node:crypto';

/** `SHA256:` and base64 without padding, of a public key as it is on the wire: what `ssh-keygen -l` shows. */
export const fingerprintOf = (blob: Uint8Array): string =>
  `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
