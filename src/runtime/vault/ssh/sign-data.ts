import { WireError, WireReader } from './wire.ts';

const USERAUTH_REQUEST = 50;
const SERVICE = 'ssh-connection';
const PUBLICKEY = 'publickey';
/** OpenSSH PROTOCOL, section 3.1: publickey whose signature also covers the host's key. */
const HOSTBOUND = 'publickey-hostbound-v00@openssh.com';
const MAGIC = Buffer.from('SSHSIG');
const MAX_NAME_BYTES = 256;
const DIGEST_BYTES: ReadonlyMap<string, number> = new Map([
  ['sha256', 32],
  ['sha512', 64],
]);

/** RFC 4252 section 7: a login, in the form that its signature covers. */
export interface LoginData {
  readonly kind: 'login';
  readonly sessionId: Buffer;
  readonly user: string;
  readonly algorithm: string;
  readonly keyBlob: Buffer;
  /** Of a host-bound login. */
  readonly hostKey: Buffer | undefined;
}

/** OpenSSH PROTOCOL.sshsig: a signature of some data for one purpose, its namespace. */
export interface SignatureData {
  readonly kind: 'signature';
  readonly namespace: string;
}

/**
 * What an agent is asked to sign. Nothing but these two is known, and neither can be read as the other: a login begins
 * with the length of its session id, which cannot be as large as the letters of SSHSIG. Throws WireError for anything else.
 */
export function parseSignData(data: Uint8Array): LoginData | SignatureData {
  const isSignature = MAGIC.equals(data.subarray(0, MAGIC.length));
  return isSignature ? parseSignature(data) : parseLogin(data);
}

function parseLogin(data: Uint8Array): LoginData {
  const reader = new WireReader(data);
  const sessionId = reader.string();
  if (reader.byte() !== USERAUTH_REQUEST) throw new WireError('this is no login');
  const user = reader.text(MAX_NAME_BYTES);
  if (reader.text(MAX_NAME_BYTES) !== SERVICE) throw new WireError('this is a login to another service');
  const method = reader.text(MAX_NAME_BYTES);
  if (method !== PUBLICKEY && method !== HOSTBOUND) throw new WireError('this is no login by a key');
  if (!reader.boolean()) throw new WireError('this login needs no signature');
  const algorithm = reader.text(MAX_NAME_BYTES);
  const keyBlob = reader.string();
  const hostKey = method === HOSTBOUND ? reader.string() : undefined;
  reader.end();
  return { kind: 'login', sessionId, user, algorithm, keyBlob, hostKey };
}

function parseSignature(data: Uint8Array): SignatureData {
  const reader = new WireReader(data);
  reader.raw(MAGIC.length);
  const namespace = reader.text(MAX_NAME_BYTES);
  if (reader.string().length > 0) throw new WireError('a reserved field is in use');
  const expected = DIGEST_BYTES.get(reader.text(MAX_NAME_BYTES));
  if (expected !== reader.string().length) throw new WireError('the digest is not that of a known hash');
  reader.end();
  return { kind: 'signature', namespace };
}
