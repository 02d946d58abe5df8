import type { Project } from '../projects/contract.ts';

/**
 * The gate: a bare mirror of one project's upstream on the host.
 *
 *   refs/terok/upstream/*                 upstream's branches as last fetched (force-updated by fetch)
 *   refs/heads/<branch>                   the gate's own view of upstream's branches, moved by fetch only
 *   refs/namespaces/<task>/refs/*         what one task pushes: git's own namespaces confine every push there
 *   refs/heads/<task>/<branch>            the same commits under the name people see and review
 *   refs/terok/archive/<task>/<branch>    heads of deleted tasks that were never promoted
 */
export interface Gate {
  /**
   * Clones the upstream, or fetches it when the mirror exists. With a mirror, an unreachable upstream is not
   * an error: `stale` says why the mirror may be behind. Throws CommandError when there is no mirror to use.
   */
  sync(project: Project, signal?: AbortSignal): Promise<SyncResult>;
  /** Throws NotFoundError (with the nearest names) when the project's mirror has no such branch. */
  checkBranch(project: Project, branch: string, signal?: AbortSignal): Promise<void>;
  /** Gives a task its namespace, starting at the project's branches. Idempotent. */
  openTask(project: Project, task: string, signal?: AbortSignal): Promise<void>;
  /** Serves smart-HTTP for one task on a unix socket. Only this token is accepted there. */
  serve(options: ServeOptions): Promise<GateService>;
  /**
   * Copies a task's namespace heads to `refs/heads/<task>/*`, the first 200 by name; the others stay in the
   * namespace. Runs after each push, and once when a task ends. Answers as `branches`.
   */
  publish(project: Project, task: string, signal?: AbortSignal): Promise<readonly TaskBranch[]>;
  /**
   * Branches of one task (or of all), with how they relate to the default branch: the first
   * MAX_LISTED_BRANCHES by name. As many as that may mean that there are more.
   */
  branches(project: Project, task?: string, signal?: AbortSignal): Promise<readonly TaskBranch[]>;
  /** Throws NotFoundError for an unknown branch or base. */
  diff(request: DiffRequest, signal?: AbortSignal): Promise<Diff>;
  /** The patch text itself, cleaned and cut; `nextOffset` continues. */
  patch(
    request: DiffRequest & { readonly offset: number; readonly maxChars: number },
    signal?: AbortSignal,
  ): Promise<PatchPage>;
  /**
   * Checks that `branch` exists and still is at `head`; throws ConflictError when it moved, InvalidInputError
   * for an abbreviated or malformed commit.
   */
  checkHead(request: PromoteRequest, signal?: AbortSignal): Promise<PromotionPlan>;
  /**
   * Pushes exactly `head` to upstream's `target`, never with force. Throws ConflictError (moved, not a
   * fast-forward), CommandError (unreachable, refused); in every failure nothing has moved anywhere.
   */
  promote(request: PromoteRequest, signal?: AbortSignal): Promise<PromotionResult>;
  /**
   * All that a promotion would publish, object by object; the content of one is read before the next is asked for.
   * Throws as `checkHead`, PolicyError where it is too much to be looked through, CommandError where git fails.
   */
  outgoing(request: PromoteRequest, signal?: AbortSignal): AsyncIterable<OutgoingObject>;
  /** Whether upstream's target contains the commit, asked of upstream now. Throws as `checkHead`, or CommandError. */
  isPromoted(request: PromoteRequest, signal?: AbortSignal): Promise<boolean>;
  /** Archives unpromoted heads and removes the task's refs. Idempotent. Returns what was archived. */
  closeTask(project: Project, task: string, signal?: AbortSignal): Promise<readonly ArchivedHead[]>;
  /** Ids of tasks that have refs in the project's gate, for reconciling. */
  tasksWithRefs(project: Project, signal?: AbortSignal): Promise<readonly string[]>;
  path(project: Project): string;
}

/** Each listed branch is compared with the default branch, which takes a process of its own. */
export const MAX_LISTED_BRANCHES = 50;

/** How the host logs in at one project's upstream, with that project's key and nothing else of this machine. */
export interface SshAccess {
  /** Socket of an SSH agent that signs in there and nowhere else. */
  readonly agentSocket: string;
  /** Host keys that count, as in known_hosts of OpenSSH; may be absent. */
  readonly knownHosts: string;
}

export interface UpstreamKeys {
  /** Throws HostError where the project has no key, or the vault that holds it is locked. */
  access(project: Project): Promise<SshAccess>;
}

export interface SyncResult {
  readonly defaultBranch: string;
  readonly head: string | undefined;
  readonly stale: string | undefined;
}

export interface ServeOptions {
  readonly project: Project;
  readonly task: string;
  readonly socketPath: string;
  /** SHA-256 of the token; the token itself is known to the task alone. */
  readonly tokenHash: Uint8Array;
  /** Clone and fetch only: a push is refused with a sentence that says so. */
  readonly isReadOnly: boolean;
}

export interface GateService extends AsyncDisposable {
  /** Stops accepting, ends the git processes that still run, removes the socket. */
  close(): Promise<void>;
}

export interface TaskBranch {
  /** As people see it: `<task>/fix/x`. */
  readonly branch: string;
  readonly task: string;
  readonly head: string;
  readonly subject: string;
  /** Commits not on the default branch, and commits of it that this branch lacks. */
  readonly ahead: number;
  readonly behind: number;
}

export interface DiffRequest {
  readonly project: Project;
  readonly branch: string;
  /** Default: the project's default branch. Compared from the merge base (three dots). */
  readonly base?: string | undefined;
  /**
   * Branch of upstream the work would go to. Without `base` it is compared with that, as last fetched, where
   * upstream has it: the commits are then those a promotion would push. `Diff.base` says which it was.
   */
  readonly target?: string | undefined;
}

export interface Diff {
  readonly branch: string;
  readonly head: string;
  readonly base: string;
  readonly baseHead: string;
  readonly commits: readonly { readonly id: string; readonly author: string; readonly subject: string }[];
  readonly commitCount: number;
  readonly files: readonly {
    readonly path: string;
    readonly added: number | undefined;
    readonly removed: number | undefined;
    readonly status: string;
  }[];
  readonly fileCount: number;
}

export interface PatchPage {
  readonly head: string;
  readonly base: string;
  readonly text: string;
  readonly totalChars: number;
  readonly nextOffset: number | undefined;
}

export interface PromoteRequest {
  readonly project: Project;
  readonly branch: string;
  /** Full commit id that was reviewed. */
  readonly head: string;
  /** Branch of upstream. Default: the branch without its task prefix. */
  readonly target?: string | undefined;
}

/** A commit with its message, a tree with the names in it, or a file, that upstream has on no branch. */
export interface OutgoingObject {
  readonly id: string;
  readonly type: string;
  /** A commit that has it. */
  readonly commit: string;
  /** Cleaned; undefined for what has none. */
  readonly path: string | undefined;
  readonly content: AsyncIterable<Uint8Array>;
}

export interface PromotionPlan {
  readonly target: string;
  readonly head: string;
  readonly task: string;
  readonly subject: string;
}

export interface PromotionResult {
  readonly target: string;
  readonly head: string;
  /** Where upstream's branch stood before; undefined when it is new. */
  readonly previous: string | undefined;
  /** Upstream already had this commit there: nothing was pushed. */
  readonly alreadyThere: boolean;
}

export interface ArchivedHead {
  readonly ref: string;
  readonly head: string;
}
