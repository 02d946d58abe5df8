import type { TaskId } from '../core/ids.ts';
import type { Task } from './contract.ts';
import type { TaskSettings } from './task-row.ts';

/** What a task was made of, beside what it is. */
export interface TaskOrigin {
  readonly settings: TaskSettings;
  /** Conversation of its agent, where its id is known. */
  readonly session: string | undefined;
  /** Undefined until one was found. */
  readonly image: string | undefined;
  /** Where the output of its present start begins in its log, in bytes. */
  readonly logOffset: number;
}

export interface NewStart {
  readonly tokenHash: Uint8Array;
  readonly settings: TaskSettings;
  readonly session: string | undefined;
  /** The new run; undefined in modes that have none. */
  readonly run: { readonly prompt: string } | undefined;
  readonly webTokenHash: Uint8Array | undefined;
}

export interface TaskIntent extends NewStart {
  readonly task: Task;
}

export interface RestartIntent extends NewStart {
  readonly id: TaskId;
  readonly at: string;
  readonly restricted: boolean;
  readonly webPort: number | undefined;
  readonly logOffset: number;
}

export type TaskChange = Partial<
  Pick<Task, 'state' | 'exitCode' | 'failure' | 'startedAt' | 'finishedAt' | 'baseBranch'>
> & { readonly image?: string; readonly session?: string };
