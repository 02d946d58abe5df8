import type { ContainerState } from '../engine/contract.ts';
import type { Task, TaskState } from './contract.ts';

/** Moves a task may make; everything else is a bug of ours or a race that lost. */
const NEXT: Readonly<Record<TaskState, readonly TaskState[]>> = {
  creating: ['starting', 'deleting'],
  starting: ['running', 'completed', 'failed', 'stopping', 'deleting'],
  running: ['completed', 'failed', 'stopping', 'deleting'],
  stopping: ['stopped', 'deleting'],
  stopped: ['deleting'],
  completed: ['deleting'],
  failed: ['deleting'],
  deleting: [],
};

export const canBecome = (from: TaskState, to: TaskState): boolean => NEXT[from].includes(to);

/** The container is (or may be) running and somebody may wait for it. */
export const isActive = (task: Pick<Task, 'state'>): boolean =>
  task.state === 'creating' ||
  task.state === 'starting' ||
  task.state === 'running' ||
  task.state === 'stopping';

export const hasEnded = (task: Pick<Task, 'state'>): boolean =>
  task.state === 'completed' || task.state === 'failed' || task.state === 'stopped';

export interface Ending {
  readonly state: 'completed' | 'failed' | 'stopped';
  readonly exitCode: number | undefined;
  readonly failure: string | undefined;
}

/** Exit codes of `terok-init`, beside those of the agent. */
const EXIT_TIMEOUT = 124;
const EXIT_CLONE_FAILED = 70;
const EXIT_WORKSPACE_NOT_EMPTY = 128;

/** What the end of a container means for its task. `container` is undefined when it is no longer there. */
export function endingOf(task: Pick<Task, 'state' | 'mode'>, container: ContainerState | undefined): Ending {
  if (container === undefined) {
    return { state: 'failed', exitCode: undefined, failure: 'its container was removed from outside' };
  }
  const { exitCode, wasOutOfMemory } = container;
  if (task.state === 'stopping') return { state: 'stopped', exitCode, failure: undefined };
  // A shell ends with the code of its last command, which says nothing about the person who left it.
  const wasLeft = task.mode === 'dev' && task.state === 'running' && !wasOutOfMemory;
  if (exitCode === 0 || wasLeft) return { state: 'completed', exitCode, failure: undefined };
  return { state: 'failed', exitCode, failure: describeExit(task, container) };
}

function describeExit(task: Pick<Task, 'state'>, { exitCode, wasOutOfMemory }: ContainerState): string {
  if (wasOutOfMemory) return 'it used more memory than its limit and was killed';
  if (exitCode === EXIT_TIMEOUT) return 'it did not finish within its time limit';
  if (task.state === 'starting' && exitCode === EXIT_CLONE_FAILED)
    return 'its workspace could not be cloned from the gate';
  if (task.state === 'starting' && exitCode === EXIT_WORKSPACE_NOT_EMPTY)
    return 'its workspace was neither empty nor a repository';
  if (exitCode === 137) return 'it was killed';
  return task.state === 'starting'
    ? `it ended during start-up with exit code ${exitCode}`
    : `the agent ended with exit code ${exitCode}`;
}
