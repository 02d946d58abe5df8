import type { Task, TaskState } from './contract.ts';

/** Moves a task may make; everything else is a bug of ours or a race that lost. */
const NEXT: Readonly<Record<TaskState, readonly TaskState[]>> = {
  creating: ['starting', 'deleting'],
  restarting: ['starting', 'completed', 'failed', 'stopped', 'deleting'],
  starting: ['running', 'completed', 'failed', 'stopping', 'deleting'],
  running: ['completed', 'failed', 'stopping', 'deleting'],
  stopping: ['stopped', 'failed', 'deleting'],
  stopped: ['restarting', 'deleting'],
  completed: ['restarting', 'deleting'],
  failed: ['restarting', 'deleting'],
  deleting: [],
};

export const canBecome = (from: TaskState, to: TaskState): boolean => NEXT[from].includes(to);

/** The container is (or may be) running and somebody may wait for it. */
export const isActive = (task: Pick<Task, 'state'>): boolean =>
  task.state === 'creating' ||
  task.state === 'restarting' ||
  task.state === 'starting' ||
  task.state === 'running' ||
  task.state === 'stopping';

export const hasEnded = (task: Pick<Task, 'state'>): boolean =>
  task.state === 'completed' || task.state === 'failed' || task.state === 'stopped';

/** It is brought up, for the first time or again: nothing watches its container yet. */
export const isComingUp = (task: Pick<Task, 'state'>): boolean =>
  task.state === 'creating' || task.state === 'restarting';

/** Its container was seen running, and has not been told to stop. */
export const isUp = (task: Pick<Task, 'state'>): boolean =>
  task.state === 'starting' || task.state === 'running';

/** What it does is told as runs, each with an outcome of its own. */
export const hasRuns = (task: Pick<Task, 'mode'>): boolean =>
  task.mode === 'headless' || task.mode === 'tool';
