import { createHmac } from 'node:crypto';

/** The keys of hosts, as a known_hosts file tells them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export interface KnownHosts {
  /** The keys by which a host is known; `name` as `knownName` gives it. */
  keysOf(name: string): readonly Buffer[];
  isRevoked(key: Uint8Array): boolean;
  readonly revoked: readonly Buffer[];
  /** A line that revokes a key could not be read: no key of this file can be relied on. */
  readonly isUnreliable: boolean;
}

interface Entry {
  readonly names: string;
  readonly key: Buffer;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const HASHED = /^\|1\|([A-Za-z0-9+/=]+)\|([A-Za-z0-9+/=]+)$/;

/**
 * Reads plain and hashed names, patterns and negations. A line that cannot be read makes no host known. A revoked key is
 * revoked for all hosts, whichever the line names: stricter than OpenSSH. Authorities (`@cert-authority`), whose
 * certificates are not understood here, make no host known either, nor does any other marker.
 */
export function parseKnownHosts(text: string): KnownHosts {
  const entries: Entry[] = [];
  const revoked: Buffer[] = [];
  let isUnreliable = false;
  for (const line of text.split('\n')) {
    const words = line.trim().split(/[ \t]+/);
    const [first = ''] = words;
    if (first === '' || first.startsWith('#')) continue;
    const isMarked = first.startsWith('@');
    const entry = parseEntry(isMarked ? words.slice(1) : words);
    if (first === '@revoked') {
      if (entry === undefined) isUnreliable = true;
      else revoked.push(entry.key);
    } else if (!isMarked && entry !== undefined) entries.push(entry);
  }
  const isRevoked = (key: Uint8Array): boolean => revoked.some((other) => other.equals(key));
  return {
    revoked,
    isUnreliable,
    isRevoked,
    keysOf: (name) => {
      if (isUnreliable) return [];
      return entries
        .filter(({ names, key }) => isNamed(names, name.toLowerCase()) && !isRevoked(key))
        .map(({ key }) => key);
    },
  };
}

function parseEntry([names, type, base64]: readonly string[]): Entry | undefined {
  if (names === undefined || type === undefined || base64 === undefined) return undefined;
  const key = parseKeyText(type, base64);
  return key === undefined ? undefined : { names, key };
}

/** The key's bytes, where the type inside is the one that stands before it. */
export function parseKeyText(type: string, base64: string): Buffer | undefined {
  if (!BASE64.test(base64)) return undefined;
  const key = Buffer.from(base64, 'base64');
  return key.length > 4 && keyType(key) === type ? key : undefined;
}

/** Undefined for what is no key at all. */
export function keyType(key: Buffer): string | undefined {
  if (key.length < 4) return undefined;
  const length = key.readUInt32BE(0);
  const type = key.toString('latin1', 4, 4 + length);
  return length <= key.length - 4 && /^[a-z0-9@.-]{1,64}$/.test(type) ? type : undefined;
}

function isNamed(names: string, name: string): boolean {
  const hashed = HASHED.exec(names);
  if (hashed !== null) {
    const [, salt = '', hash = ''] = hashed;
    return createHmac('sha1', Buffer.from(salt, 'base64'))
      .update(name)
      .digest()
      .equals(Buffer.from(hash, 'base64'));
  }
  const patterns = names.toLowerCase().split(',');
  const isDenied = patterns.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1), name));
  return !isDenied && patterns.some((pattern) => !pattern.startsWith('!') && matches(pattern, name));
}

/** `*` and `?` as ssh_config(5) PATTERNS has them; linear in the product of both lengths, whatever the pattern. */
function matches(pattern: string, name: string): boolean {
  let at = 0;
  let inName = 0;
  let star = -1;
  let resume = 0;
  while (inName < name.length) {
    const sign = pattern.charAt(at);
    if (sign === '*') {
      star = at++;
      resume = inName;
    } else if (sign === '?' || sign === name.charAt(inName)) {
      at++;
      inName++;
    } else if (star >= 0) {
      at = star + 1;
      inName = ++resume;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}
