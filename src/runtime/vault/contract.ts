import { z } from 'zod';
import type { CredentialKind } from '../agents/contract.ts';
import type { TaskId } from '../core/ids.ts';
import type { Secret } from '../core/secret.ts';
import type { Project } from '../projects/contract.ts';

/** The set of every project that has none of its own for a provider. A project's own set has the project's id. */
export const DEFAULT_SET = 'default';

/** Where the key that opens the vault comes from; the first that is configured counts. */
export const KeySource = z.enum(['passphrase', 'systemd-creds', 'keyring', 'desktop', 'file']);
export type KeySource = z.infer<typeof KeySource>;

export interface VaultStatus {
  /** `empty`: nothing was ever stored, so there is nothing to open either. */
  readonly state: 'unlocked' | 'locked' | 'empty';
  readonly keySource: KeySource;
  /** Words for people: where the key lies, and what that is worth. */
  readonly keyPlace: string;
  /** Why it is locked, with what to do; undefined unless it is. */
  readonly lockedBecause: string | undefined;
  readonly credentials: number;
  readonly sshKeys: number;
}

/** What is known of a credential without opening it. Never a value. */
export interface CredentialInfo {
  /** Entry of the roster. */
  readonly provider: string;
  /** `default` or the id of a project. */
  readonly set: string;
  readonly kind: CredentialKind;
  /** 1 is the first; each change of the value is one more. */
  readonly version: number;
  readonly storedAt: string;
  /** When the access token ends (ISO 8601); undefined for what does not expire, or does not say. */
  readonly expiresAt: string | undefined;
  /** Its vendor refuses to renew it: a person has to log in again. In our own words. */
  readonly problem: string | undefined;
}

/** What one credential was used for so far, by all tasks. */
export interface CredentialUse {
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** US dollars, where the prices of the models are known. */
  readonly costUsd: number;
  readonly lastUsedAt: string | undefined;
}

export interface SshKeyInfo {
  readonly project: string;
  readonly type: 'ed25519' | 'rsa';
  /** `SHA256:` and base64, as ssh-keygen -l shows it. */
  readonly fingerprint: string;
  /** One line for authorized_keys. */
  readonly publicKey: string;
  readonly comment: string;
  readonly createdAt: string;
}

/** One credential that a task may use through its own socket, by a token that is worth nothing elsewhere. */
export interface CredentialGrant {
  readonly provider: string;
  readonly set: string;
  readonly kind: CredentialKind;
  /** 256 random bits behind a prefix that the vendor's CLI takes for a key. Kept by us as a hash. */
  readonly token: Secret;
}

/** What a start of a task asks of the vault; pure: nothing is granted before `grant`. */
export interface GrantPlan {
  readonly grants: readonly CredentialGrant[];
  /** An SSH key is registered for the project, and its policy lets tasks use it. */
  readonly hasSshAgent: boolean;
  /** What was wanted and is not there, in our own words. */
  readonly warnings: readonly string[];
}

export interface TaskOfVault {
  readonly id: TaskId;
  readonly project: Project;
}

export interface VaultService extends AsyncDisposable {
  close(): Promise<void>;
}

/** One key that a host shows to everybody who connects. */
export interface SshHostKey {
  /** Of the wire, like `ssh-ed25519`. */
  readonly type: string;
  /** `SHA256:` and base64, for people to compare with what the host's own people say. */
  readonly fingerprint: string;
  /** One line of known_hosts. */
  readonly line: string;
  /** It stands in the project's known_hosts already. */
  readonly isKnown: boolean;
}

/** `known_hosts` beside project.yml: by these keys alone a task's SSH agent tells hosts apart. */
export interface SshHosts {
  /**
   * Asks the host, over the network, for its keys. Throws InvalidInputError for what is no `user@host[:port]`,
   * CommandError where nobody answers, ConflictError where the host is known by another key or its key is revoked.
   */
  scan(
    project: Project,
    destination: string,
    signal?: AbortSignal,
  ): Promise<{ readonly file: string; readonly isListed: boolean; readonly keys: readonly SshHostKey[] }>;
  /** Appends lines that `scan` gave; those that are there already stay as they are. Says how many were new. */
  trust(project: Project, destination: string, lines: readonly string[]): Promise<number>;
  /**
   * What the project's containers get at /etc/ssh/ssh_known_hosts: the keys of the destinations that it lists, and
   * revoked keys. Empty where there are none.
   */
  containerFile(project: Project): Promise<string>;
  /** What a person should hear when a task starts: listed destinations for which nothing can be signed. */
  warnings(project: Project): Promise<readonly string[]>;
}

/** One line of `terok-mcp audit`: a request that went through a task's credential proxy or SSH agent. */
export const AuditRecord = z.object({
  /** ISO 8601, when it began. */
  at: z.string(),
  task: z.string(),
  project: z.string(),
  /** http, websocket or ssh. */
  channel: z.enum(['http', 'websocket', 'ssh']),
  /** Entry of the roster, or the fingerprint of an SSH key; undefined where no token was known. */
  provider: z.string().optional(),
  set: z.string().optional(),
  /** Of HTTP; for SSH what was asked for: list or sign. */
  method: z.string(),
  /** Path without its query, which may hold secrets, cleaned; for SSH user@host. */
  target: z.string(),
  /** Status that the task was given; undefined for SSH. */
  status: z.int().optional(),
  /** ok, or why it was refused or failed: one word of ours. */
  outcome: z.string(),
  durationMs: z.number(),
  bytesSent: z.int().optional(),
  bytesReceived: z.int().optional(),
  model: z.string().optional(),
  inputTokens: z.int().optional(),
  outputTokens: z.int().optional(),
  costUsd: z.number().optional(),
  /** Its vendor did not say, or not to the end, so tokens and cost are guessed. */
  isEstimate: z.boolean().optional(),
});
export type AuditRecord = z.infer<typeof AuditRecord>;

/** A real-looking or real credential in a place that a container can read. */
export interface Leak {
  readonly task: string | undefined;
  /** Path of the host, cleaned. */
  readonly path: string;
  /** Byte offset of an exact match; undefined for a file that is known to hold credentials. */
  readonly offset: number | undefined;
  /** The provider whose credential it is. */
  readonly provider: string;
  /** exact: the very secret of the vault. known_file: where a vendor's CLI keeps one, and not one of our phantoms. */
  readonly kind: 'exact' | 'known_file';
}

export interface LeakReport {
  readonly leaks: readonly Leak[];
  /** Files that were not looked at, and why: links, over a bound, unreadable. Bounded list of words for people. */
  readonly skipped: readonly string[];
  /** false: the vault is locked or has a record that does not open, so only known files were looked for. */
  readonly hasExactMatches: boolean;
}

/** A login by the vendor's own program, in a container made for it alone; a person is at its terminal. */
export interface LoginStart {
  readonly provider: string;
  /** Container that the person attaches to with `terok-mcp podman`'s flags. */
  readonly container: string;
  readonly hint: string | undefined;
}

/** Credentials, on the host only. */
export interface Vault {
  status(): VaultStatus;
  /**
   * Throws InvalidInputError for a wrong passphrase, and HostError where the key is not there. Of KeySource `passphrase`
   * needs one each time, `keyring` after each stop of the machine or lock, the others none.
   */
  unlock(passphrase?: Secret): Promise<VaultStatus>;
  /** Forgets the key. Running tasks get 503 from now on. Throws ConflictError where the key source would open it at once. */
  lock(): VaultStatus;
  /** Puts the key into another source or under another passphrase; records stay as they are. `keyring` needs one too. */
  changeKey(next: {
    readonly source: KeySource;
    readonly passphrase?: Secret | undefined;
  }): Promise<VaultStatus>;
  /** New data key, all records sealed anew, in one transaction. */
  rotate(): Promise<VaultStatus>;
  /** The whole vault as text, sealed under a passphrase of its own. */
  export(passphrase: Secret): Promise<string>;
  /** Adds what an export holds; what is there already stays unless `overwrite`. Says what was taken. */
  import(
    text: string,
    passphrase: Secret,
    options: { readonly overwrite: boolean },
  ): Promise<readonly string[]>;

  /** Works while locked. Sorted by provider, then set. */
  list(): readonly (CredentialInfo & { readonly use: CredentialUse })[];
  /** Stores an API key (or personal access token, where the entry takes that) in place of an earlier one. */
  storeApiKey(
    provider: string,
    key: Secret,
    options?: { readonly set?: string | undefined },
  ): Promise<CredentialInfo>;
  /** Says whether there was one. Its tokens end with it. */
  remove(provider: string, options?: { readonly set?: string | undefined }): Promise<boolean>;
  /** Fields of a stored credential (`key` of an API key), for tools that run by themselves; undefined where none is stored. */
  credential(provider: string, project: string): Promise<ReadonlyMap<string, Secret> | undefined>;

  /** Begins a login; the person then attaches to its container. Throws InvalidInputError where the entry has none. */
  beginLogin(provider: string, options?: { readonly set?: string | undefined }): Promise<LoginStart>;
  /** The container has ended: takes what it left into the vault and removes both. Throws CommandError when nothing usable is there. */
  finishLogin(container: string): Promise<CredentialInfo>;
  /** Removes the container and what it left, unread. */
  cancelLogin(container: string): Promise<void>;

  /** What a task gets: for its agent (or all, where people start agents) and for tools, from the project's set or `default`. */
  planGrants(input: {
    readonly project: Project;
    readonly agent: string;
    readonly mode: 'headless' | 'interactive' | 'web' | 'dev';
  }): Promise<GrantPlan>;
  /** Makes the tokens valid, in place of those the task had, for at most so many seconds. */
  grant(task: TaskId, grants: readonly CredentialGrant[], lifetimeS: number): void;
  /** Opens the task's credential proxy on this socket. */
  serveProxy(task: TaskOfVault, socketPath: string): Promise<VaultService>;
  /** Opens the task's SSH agent on this socket. */
  serveSshAgent(task: TaskOfVault, socketPath: string): Promise<VaultService>;
  /** Ends the task's tokens, open connections included. */
  revoke(task: TaskId): void;
  /** Ends all tokens of a provider (or of all); running tasks get 401. Returns how many. */
  revokeAll(filter: { readonly task?: string | undefined; readonly provider?: string | undefined }): number;

  /** Generates one, or gives the one there is; imports a key file of `core/ssh-keys/<project>/` first. */
  initSshKey(
    project: string,
    options: {
      readonly type: 'ed25519' | 'rsa';
      readonly rotate: boolean;
      readonly comment?: string | undefined;
    },
  ): Promise<
    SshKeyInfo & {
      readonly origin: 'generated' | 'existing' | 'imported';
      /** File that it was imported from, which is still there. */
      readonly importedFrom?: string | undefined;
    }
  >;
  sshKeys(): readonly SshKeyInfo[];
  removeSshKey(project: string): Promise<boolean>;

  /** Newest last. */
  audit(filter: {
    readonly task?: string | undefined;
    readonly provider?: string | undefined;
    readonly limit: number;
  }): Promise<readonly AuditRecord[]>;
  /** Looks for credentials in directories of the host that containers write. */
  scan(
    places: readonly {
      readonly task: string | undefined;
      readonly directory: string;
      readonly agentHome: boolean;
    }[],
    signal?: AbortSignal,
  ): Promise<LeakReport>;
  /** Looks for the vault's secrets in a stream of text, like a patch. Providers found. Throws HostError while locked. */
  scanStream(chunks: AsyncIterable<Uint8Array>): Promise<readonly string[]>;
}
