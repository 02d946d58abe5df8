import type { RosterEntry } from '../agents/contract.ts';
import type { TaskId } from '../core/ids.ts';
import type { Secret } from '../core/secret.ts';
import type {
  AuditRecord,
  CredentialGrant,
  CredentialInfo,
  CredentialUse,
  SshKeyInfo,
  VaultStatus,
} from './contract.ts';
import type { OAuthCredential, StoredCredential } from './stored-credential.ts';

/** What the parts of the vault know of each other. */

/** Sealed records. Reading what is known of them works while locked; opening one throws HostError then. */
export interface CredentialStore {
  status(): VaultStatus;
  list(): readonly CredentialInfo[];
  /** That of the set, else that of `default`. */
  find(provider: string, set: string): CredentialInfo | undefined;
  open(
    info: Pick<CredentialInfo, 'provider' | 'set'>,
  ): { readonly credential: StoredCredential; readonly version: number } | undefined;
  put(info: Pick<CredentialInfo, 'provider' | 'set'>, credential: StoredCredential): CredentialInfo;
  /** Stores only where the version is still this one: whoever renewed it meanwhile keeps the word. */
  replace(
    info: Pick<CredentialInfo, 'provider' | 'set' | 'version'>,
    credential: StoredCredential,
  ): CredentialInfo | undefined;
  /** For people: why it cannot be renewed; undefined clears it. */
  setProblem(info: Pick<CredentialInfo, 'provider' | 'set'>, problem: string | undefined): void;
  remove(info: Pick<CredentialInfo, 'provider' | 'set'>): boolean;
  /** All secret values with whose they are, SSH keys' private parts not among them. */
  secrets(): readonly { readonly provider: string; readonly secret: Secret }[];
  sshKeys(): readonly SshKeyInfo[];
  /** PKCS#8 PEM. */
  openSshKey(project: string): Secret | undefined;
  putSshKey(info: SshKeyInfo, privateKey: Secret): void;
  removeSshKey(project: string): boolean;
  /** Renewals under way, kept so that the next start knows of them. */
  renewals(): readonly Renewal[];
  beginRenewal(renewal: Renewal): void;
  endRenewal(id: string): void;
  /** Called after each change of lock state or content; returns the way to stop. */
  onChange(listener: () => void): () => void;
}

export interface Renewal {
  /** Names its files in the inbox. */
  readonly id: string;
  readonly provider: string;
  readonly set: string;
  /** Version of the credential whose refresh token was sent. */
  readonly version: number;
  readonly startedAt: string;
}

/** A credential that may be sent right now. */
export interface LiveCredential {
  readonly info: CredentialInfo;
  readonly credential: StoredCredential;
}

/** Gives credentials that are fresh: OAuth tokens are renewed before they end, once for all who ask. */
export interface LiveCredentials {
  /**
   * Undefined where none is stored. Throws HostError while the vault is locked, and CommandError where it is over and
   * cannot be renewed.
   */
  get(provider: string, set: string, signal?: AbortSignal): Promise<LiveCredential | undefined>;
  /** Its vendor said 401 to this version: renews it if nobody has, and gives what counts now. */
  refused(live: LiveCredential, signal?: AbortSignal): Promise<LiveCredential | undefined>;
}

/** Exchanges one refresh token, in a process that outlives this one. The caller has told the store of the renewal. */
export interface TokenExchange {
  /** Throws CancelledError when this process ends meanwhile: `takeUp` then knows what came of it. */
  exchange(renewal: Renewal, credential: OAuthCredential, refresh: RefreshRule): Promise<ExchangeOutcome>;
  /**
   * What an exchange of an earlier run of the daemon came to; one that still goes on is waited for. Undefined: nothing
   * is known of it, and it will not be sent any more. `credential` is the one whose refresh token was given to it.
   */
  takeUp(renewal: Renewal, credential: OAuthCredential): Promise<ExchangeOutcome | undefined>;
  /** Removes what it left, once its outcome is stored. */
  discard(renewal: Pick<Renewal, 'id'>): Promise<void>;
}
export type RefreshRule = NonNullable<NonNullable<RosterEntry['route']>['refresh']>;
export type ExchangeOutcome =
  | { readonly kind: 'renewed'; readonly credential: OAuthCredential }
  /** The vendor said no: another try with the same token would be refused as well. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: string };

/** Whose token it is. */
export type TokenCheck =
  | { readonly kind: 'valid'; readonly provider: string; readonly set: string }
  /** foreign: of another task. */
  | { readonly kind: 'unknown' | 'expired' | 'foreign' };

export interface Tokens {
  grant(task: TaskId, grants: readonly CredentialGrant[], expiresAt: Date): void;
  check(task: TaskId, token: string): TokenCheck;
  revoke(filter: {
    readonly task?: string | undefined;
    readonly provider?: string | undefined;
    readonly set?: string | undefined;
  }): number;
  /** Called with the tasks whose tokens ended before their time. */
  onRevoked(listener: (task: TaskId) => void): () => void;
}

export interface Usage {
  readonly model: string | undefined;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
}

/** Counts what tasks spend, and says when it is enough. */
export interface Budgets {
  /** Undefined: go on. Else a sentence for the agent. Counts the request when it lets it pass. */
  admit(task: TaskId, request: { readonly provider: string; readonly set: string }): string | undefined;
  /** Returns what it cost in US dollars; undefined where no price is known. */
  spend(
    task: TaskId,
    request: { readonly provider: string; readonly set: string },
    usage: Usage,
  ): number | undefined;
  used(provider: string, set: string): CredentialUse;
}

export interface AuditLog {
  append(record: AuditRecord): void;
  read(filter: {
    readonly task?: string | undefined;
    readonly provider?: string | undefined;
    readonly limit: number;
  }): Promise<readonly AuditRecord[]>;
}
