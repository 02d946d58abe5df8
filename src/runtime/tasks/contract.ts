import { z } from 'zod';
import type { EventActor } from '../core/event-log.ts';
import type { TaskId } from '../core/ids.ts';
import type { Progress } from '../engine/contract.ts';
import type { EgressRule, RefusedConnection } from '../shield/contract.ts';

/**
 *   creating ──► starting ──► running ──► completed | failed
 *       │            │           │
 *       ▼            ▼           ▼
 *    (undone)     failed     stopping ──► stopped        any ──► deleting ──► (gone; events stay)
 *
 * `starting`: the container runs, its workspace is not ready. `running`: it is. A `creating` task found after
 * a crash is undone whole.
 */
export const TaskState = z.enum([
  'creating',
  'starting',
  'running',
  'stopping',
  'stopped',
  'completed',
  'failed',
  'deleting',
]);
export type TaskState = z.infer<typeof TaskState>;

/** dev: a shell on the project's debugging image, ended when the person leaves it. */
export const TaskMode = z.enum(['headless', 'interactive', 'dev']);
export type TaskMode = z.infer<typeof TaskMode>;

export interface Task {
  readonly id: TaskId;
  readonly project: string;
  readonly name: string;
  readonly mode: TaskMode;
  readonly agent: string;
  readonly restricted: boolean;
  readonly state: TaskState;
  readonly container: string;
  readonly baseBranch: string;
  readonly exitCode: number | undefined;
  /** Why it failed, in our own words; undefined while it has not. */
  readonly failure: string | undefined;
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly finishedAt: string | undefined;
}

/** A task and what is known of its surroundings right now. */
export interface TaskReport extends Task {
  /** Branches the task pushed, as people see them. */
  readonly branches: readonly { readonly branch: string; readonly head: string; readonly ahead: number }[];
  /** Last lines of output, cleaned. */
  readonly lastOutput: readonly string[];
  /** Podman could not be asked: `state` is what we last knew. */
  readonly engineUnreachable: string | undefined;
}

export interface CreateTaskInput {
  readonly project: string;
  readonly name?: string | undefined;
  readonly agent?: string | undefined;
  readonly restricted?: boolean | undefined;
  /** With a prompt the agent runs headless on it; without one the sandbox idles, ready for a login. */
  readonly prompt?: string | undefined;
  readonly timeoutS?: number | undefined;
  /** A person's debugging shell instead of an agent's sandbox; excludes a prompt. */
  readonly dev?: boolean | undefined;
  /** Preset below this task's own settings. */
  readonly preset?: string | undefined;
  readonly model?: string | undefined;
  readonly maxTurns?: number | undefined;
  /** Replaces all other instructions. */
  readonly instructions?: string | undefined;
  /** Sub-agents for this task, besides those that are default. */
  readonly subagents?: readonly string[] | undefined;
}

/** A task as it was made, with what the caller should know about how. */
export interface CreatedTask extends Task {
  /** What was asked for and could not be had, in our own words. */
  readonly warnings: readonly string[];
}

export interface LogRequest {
  readonly task: string;
  /** Byte offset from an earlier answer; without it the last `tail` lines. */
  readonly cursor?: number | undefined;
  readonly tail: number;
  readonly maxChars: number;
  /** Keep only lines containing this, literally. */
  readonly contains?: string | undefined;
}

export interface LogPage {
  readonly lines: readonly string[];
  readonly nextCursor: number;
  /** No more output can come: the task has ended and everything was read. */
  readonly isComplete: boolean;
}

export interface Tasks {
  /**
   * Makes a running sandbox. Returns when the container runs; `waitFor` tells when its workspace is ready.
   * `progress` hears of images that are built for it. Throws HostError when the agent is not in the image, or a GPU
   * is asked for and absent; then, as after every failure, nothing of the task is left.
   */
  create(input: CreateTaskInput, signal?: AbortSignal, progress?: Progress): Promise<CreatedTask>;
  list(filter?: {
    readonly project?: string | undefined;
    readonly state?: TaskState | undefined;
  }): readonly Task[];
  /** Throws NotFoundError with a hint. Accepts a unique prefix of the id. */
  get(id: string): Task;
  report(id: string, signal?: AbortSignal): Promise<TaskReport>;
  /** Waits until the state differs from `while`, at most `waitMs`. The task is not touched when the wait ends. */
  waitFor(
    id: string,
    options: { readonly until: (task: Task) => boolean; readonly waitMs: number },
    signal?: AbortSignal,
  ): Promise<Task>;
  logs(request: LogRequest): Promise<LogPage>;
  stop(id: string, signal?: AbortSignal): Promise<Task>;
  delete(id: string, signal?: AbortSignal): Promise<{ readonly archived: readonly string[] }>;
  /** Tasks that keep the daemon alive. */
  activeCount(): number;
}

/** A task's network as tools show it. */
export interface EgressReport {
  readonly task: string;
  readonly state: 'up' | 'down' | 'altered';
  readonly allowed: readonly EgressRule[];
  /** Destinations refused to this task so far, oldest first, at most 500; survives the namespace. */
  readonly refused: readonly (RefusedConnection & { readonly at: string })[];
  /** How many destinations that are. */
  readonly refusedEver: number;
}

export interface Egress {
  status(task: string, signal?: AbortSignal): Promise<EgressReport>;
  /**
   * Opens one address, port and protocol to a running task. Throws InvalidInputError for a name, PolicyError for
   * an address that is never allowed, ConflictError when the task has ended.
   */
  allow(task: string, rule: unknown, actor: EventActor, signal?: AbortSignal): Promise<void>;
}
