import type { SshKeyInfo } from '../contract.ts';
import { type Destination, destinationText, knownName } from './destination.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { KnownHosts } from './known-hosts.ts';
import { algorithmFor, blobOfLine } from './private-key.ts';
import { type LoginData, parseSignData, type SignatureData } from './sign-data.ts';
import { WireError } from './wire.ts';

/** Sessions that a connection said it serves, each with the key of the host that vouched for it. */
export interface BoundSession {
  readonly sessionId: Buffer;
  readonly hostKey: Buffer;
}

export interface SignQuestion {
  readonly keyBlob: Uint8Array;
  readonly data: Uint8Array;
  readonly flags: number;
}

export interface SignScope {
  /** That of the task's project; undefined where it has none. */
  readonly key: Pick<SshKeyInfo, 'type' | 'publicKey'> | undefined;
  /** Those of the very connection that asks. */
  readonly sessions: readonly BoundSession[];
  readonly destinations: readonly Destination[];
  readonly mayMakeSignatures: boolean;
  readonly knownHosts: KnownHosts;
}

/** Why something was refused, one word for the audit. */
export type Refusal =
  | 'other-key'
  | 'wrong-algorithm'
  | 'unreadable'
  | 'not-allowed'
  | 'other-namespace'
  | 'unbound-session'
  | 'other-host-key'
  | 'unreliable-known-hosts'
  | 'revoked-host-key'
  | 'unknown-host'
  | 'other-user';

export type Verdict =
  | { readonly isAllowed: true; readonly algorithm: string; readonly target: string }
  | { readonly isAllowed: false; readonly reason: Refusal; readonly target: string };

/** Git's own; other namespaces stand for files, mails and releases, of which a task signs none. */
const SIGNATURE_NAMESPACE = 'git';

/**
 * Whether a task may have this signed (pure). Denied unless every part of the question is what it has to be: the key is
 * the project's own, the algorithm fits key and flags, and the data is a login to a listed destination on a session whose
 * host proved who it is, or a signature that the project allows.
 */
export function judgeSign(question: SignQuestion, scope: SignScope): Verdict {
  const { key } = scope;
  if (key === undefined || !blobOfLine(key.publicKey).equals(question.keyBlob))
    return refused('other-key', '');
  const algorithm = algorithmFor(key.type, question.flags);
  const data = readData(question.data);
  if (data === undefined) return refused('unreadable', '');
  if (algorithm === undefined) return refused('wrong-algorithm', targetOf(data));
  return data.kind === 'login'
    ? judgeLogin(data, question, { ...scope, algorithm })
    : judgeSignature(data, scope, algorithm);
}

function judgeLogin(
  login: LoginData,
  { keyBlob }: SignQuestion,
  { sessions, destinations, knownHosts, algorithm }: SignScope & { readonly algorithm: string },
): Verdict {
  const { user } = login;
  const unknown = targetOf(login);
  if (!login.keyBlob.equals(keyBlob)) return refused('other-key', unknown);
  if (login.algorithm !== algorithm) return refused('wrong-algorithm', unknown);
  const session = sessions.find(({ sessionId }) => sessionId.equals(login.sessionId));
  if (session === undefined) return refused('unbound-session', unknown);
  const { hostKey } = session;
  const shown = `${user}@${fingerprintOf(hostKey)}`;
  if (login.hostKey !== undefined && !login.hostKey.equals(hostKey)) return refused('other-host-key', shown);
  if (knownHosts.isUnreliable) return refused('unreliable-known-hosts', shown);
  if (knownHosts.isRevoked(hostKey)) return refused('revoked-host-key', shown);
  const there = destinations.filter((destination) =>
    knownHosts.keysOf(knownName(destination)).some((known) => known.equals(hostKey)),
  );
  const [first] = there;
  if (first === undefined) return refused('unknown-host', shown);
  const meant = there.find((destination) => destination.user === user);
  if (meant === undefined) return refused('other-user', destinationText({ ...first, user }));
  return { isAllowed: true, algorithm, target: destinationText(meant) };
}

function judgeSignature(data: SignatureData, { mayMakeSignatures }: SignScope, algorithm: string): Verdict {
  const target = targetOf(data);
  if (!mayMakeSignatures) return refused('not-allowed', target);
  if (data.namespace !== SIGNATURE_NAMESPACE) return refused('other-namespace', target);
  return { isAllowed: true, algorithm, target };
}

const refused = (reason: Refusal, target: string): Verdict => ({ isAllowed: false, reason, target });

const targetOf = (data: LoginData | SignatureData): string =>
  data.kind === 'login' ? `${data.user}@` : `signature:${data.namespace}`;

function readData(data: Uint8Array): LoginData | SignatureData | undefined {
  try {
    return parseSignData(data);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
