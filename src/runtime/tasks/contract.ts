import { z } from 'zod';
import type { EventActor } from '../core/event-log.ts';
import type { TaskId } from '../core/ids.ts';
import type { Progress } from '../engine/contract.ts';
import type { EgressRule, RefusedConnection } from '../shield/contract.ts';
import type { RunSummary, TranscriptPage } from '../transcript/contract.ts';

/**
 *   creating ──► starting ──► running ──► completed | failed ──► restarting ──► starting
 *       │            │           │                 stopped ──►      │
 *       ▼            ▼           ▼                                  ▼
 *    (undone)     failed     stopping ──► stopped | failed     (as it was)     any ──► deleting ──► (gone; events stay)
 *
 * `starting`: the container runs, its workspace is not ready. `running`: it is. A `creating` task found after
 * a crash is undone whole; a `restarting` one whose container did not get to run is what it was before.
 */
export const TaskState = z.enum([
  'creating',
  'restarting',
  'starting',
  'running',
  'stopping',
  'stopped',
  'completed',
  'failed',
  'deleting',
]);
export type TaskState = z.infer<typeof TaskState>;

/**
 * headless: an agent works on a prompt. interactive: a terminal for people, who may come and go. web: a program for
 * the browser. tool: one program with a real credential, in an image without agents. dev: a shell on the project's
 * debugging image, ended when the person leaves it.
 */
export const TaskMode = z.enum(['headless', 'interactive', 'web', 'tool', 'dev']);
export type TaskMode = z.infer<typeof TaskMode>;

export interface Task {
  readonly id: TaskId;
  readonly project: string;
  readonly name: string;
  readonly mode: TaskMode;
  /** The agent; of a tool task the tool, of a web task the web program. */
  readonly agent: string;
  readonly restricted: boolean;
  readonly state: TaskState;
  readonly container: string;
  readonly baseBranch: string;
  /** Port of this machine's loopback where a web task is reached. */
  readonly webPort: number | undefined;
  readonly exitCode: number | undefined;
  /** Why it failed, in our own words; undefined while it has not. */
  readonly failure: string | undefined;
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly finishedAt: string | undefined;
}

/** What an agent says of its own work, in a file that only it writes: cleaned, bounded, and proof of nothing. */
export interface WorkStatus {
  /** planning, coding, testing, debugging, reviewing, documenting, done, blocked, error, or a word of its own. */
  readonly status: string;
  readonly message: string | undefined;
  /** When the file was last written (ISO 8601). */
  readonly at: string;
}

/** One prompt of a headless task, or one call of a tool, and what came of it. */
export interface TaskRun {
  /** 1 is the first. */
  readonly number: number;
  readonly createdAt: string;
  readonly endedAt: string | undefined;
  readonly exitCode: number | undefined;
  readonly failure: string | undefined;
  /** The conversation it was part of. */
  readonly session: string | undefined;
  /** So far, while it runs. */
  readonly summary: RunSummary;
}

/** A task and what is known of its surroundings right now. */
export interface TaskReport extends Task {
  /** Branches the task pushed, as people see them. */
  readonly branches: readonly { readonly branch: string; readonly head: string; readonly ahead: number }[];
  /** The last things it said or did, one line each, cleaned. */
  readonly lastOutput: readonly string[];
  /** Its newest run; undefined in modes that have none. */
  readonly run: TaskRun | undefined;
  readonly workStatus: WorkStatus | undefined;
  /** Why the file that says so cannot be used, in our own words. */
  readonly workStatusProblem: string | undefined;
  /** What happened with its credentials since its last start, in our own words. */
  readonly notices: readonly string[];
  /** Podman could not be asked: `state` is what we last knew. */
  readonly engineUnreachable: string | undefined;
}

export interface CreateTaskInput {
  /** Either this or `repo`. */
  readonly project?: string | undefined;
  /** A repository without a project: a URL, or an absolute path of this machine. */
  readonly repo?: string | undefined;
  /** Absent: headless with a prompt, else interactive. */
  readonly mode?: TaskMode | undefined;
  readonly name?: string | undefined;
  readonly agent?: string | undefined;
  /** Branch to start on. Default: the project's. */
  readonly branch?: string | undefined;
  /** false: it can clone and fetch, and push nothing. */
  readonly gate?: boolean | undefined;
  readonly restricted?: boolean | undefined;
  /** true: all GPUs; else as the project says. */
  readonly gpus?: boolean | undefined;
  /** Headless alone, and needed there. */
  readonly prompt?: string | undefined;
  readonly timeoutS?: number | undefined;
  /** Preset below this task's own settings. */
  readonly preset?: string | undefined;
  readonly model?: string | undefined;
  readonly maxTurns?: number | undefined;
  /** Replaces all other instructions. */
  readonly instructions?: string | undefined;
  /** Sub-agents for this task, besides those that are default. */
  readonly subagents?: readonly string[] | undefined;
  /** Web tasks: instead of what the project says. */
  readonly web?: { readonly port?: number | undefined; readonly publicUrl?: string | undefined } | undefined;
  /** Tool tasks, and needed there: a tool of the roster that runs in the sidecar image. */
  readonly tool?: { readonly name: string; readonly args: readonly string[] } | undefined;
}

/** A task that was started, with what the caller should know about how. */
export interface StartedTask extends Task {
  /** What was asked for and could not be had, in our own words. */
  readonly warnings: readonly string[];
  /** Web tasks: the address with the token that lets in whoever has it. Said here and nowhere else. */
  readonly webUrl: string | undefined;
}

export interface FollowUpInput {
  readonly task: string;
  readonly prompt: string;
  /** true: a new conversation in the same workspace. Default: the one it had goes on. */
  readonly fresh?: boolean | undefined;
  /** Absent: as before. */
  readonly model?: string | undefined;
  readonly maxTurns?: number | undefined;
  readonly timeoutS?: number | undefined;
}

export interface LogRequest {
  readonly task: string;
  /** Byte offset from an earlier answer; without it the last `tail` lines. */
  readonly cursor?: number | undefined;
  readonly tail: number;
  readonly maxChars: number;
  /** Keep only lines containing this, literally. */
  readonly contains?: string | undefined;
  /** Lines as they were printed, instead of what they mean. */
  readonly raw?: boolean | undefined;
}

export interface TranscriptRequest {
  readonly task: string;
  /** From an earlier answer; absent: from the start of the task. */
  readonly cursor?: number | undefined;
  readonly maxEvents: number;
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
  create(input: CreateTaskInput, signal?: AbortSignal, progress?: Progress): Promise<StartedTask>;
  /**
   * Gives a headless task that has ended another prompt, in the same workspace and conversation, under the policy of
   * now. Throws ConflictError for another mode or a task that has not ended.
   */
  followUp(input: FollowUpInput, signal?: AbortSignal, progress?: Progress): Promise<StartedTask>;
  /**
   * Starts a task that has ended again, under the policy of now: an interactive or web task goes on, a headless or
   * tool task does its last run anew, in a new conversation. `recreate`: in a new container, from the image of now.
   * Throws ConflictError for a task that has not ended, or that a person left for good (dev).
   */
  restart(
    id: string,
    options?: { readonly recreate?: boolean | undefined },
    signal?: AbortSignal,
    progress?: Progress,
  ): Promise<StartedTask>;
  /** A new token for a running web task, in place of the one before; its address. Throws ConflictError otherwise. */
  webUrl(id: string): Promise<string>;
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
    options: {
      readonly until: (task: Task) => boolean;
      readonly waitMs: number;
      /** Also ends the wait when the agent says that it is done, blocked or in error, and no report has told that yet. */
      readonly orWorkStatus?: boolean | undefined;
    },
    signal?: AbortSignal,
  ): Promise<Task>;
  /** What a task printed, one line each: what it means where its agent tells events, unless `raw`. */
  logs(request: LogRequest): Promise<LogPage>;
  /** What happened in a task, oldest first. */
  transcript(request: TranscriptRequest): Promise<TranscriptPage>;
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
