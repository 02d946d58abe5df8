import type { ContainerState } from '../engine/contract.ts';
import type { EventFormat, RunSummary } from '../transcript/contract.ts';
import type { Task } from './contract.ts';
import { hasRuns } from './state.ts';

export interface Ending {
  readonly state: 'completed' | 'failed' | 'stopped';
  readonly exitCode: number | undefined;
  readonly failure: string | undefined;
}

/** What is known of a run besides its container. */
export interface RunEvidence {
  readonly summary: RunSummary;
  readonly format: EventFormat;
}

/** Exit codes of `terok-init`, beside those of the agent. */
const EXIT_TIMEOUT = 124;
const EXIT_CLONE_FAILED = 70;
const EXIT_WORKSPACE_NOT_EMPTY = 128;
const EXIT_KILLED = 137;
/** What conmon records of a container that it had to kill at the end of its lifetime. */
const OUTLIVED = -1;

/**
 * What the end of a container means for its task (pure). `container` is undefined when it is no longer there, `run`
 * in modes that have none. A failure that the task has already is why it was ended. Completed is a run whose exit code
 * and whose agent both say so: several of them exit with 0 after a failed API, or without the tools they needed.
 */
export function endingOf(
  task: Pick<Task, 'state' | 'mode' | 'failure'>,
  container: ContainerState | undefined,
  run: RunEvidence | undefined,
): Ending {
  const exitCode = container?.status === 'exited' && container.exitCode >= 0 ? container.exitCode : undefined;
  const failed = (failure: string): Ending => ({ state: 'failed', exitCode, failure });
  if (task.failure !== undefined) return failed(task.failure);
  if (container === undefined) return failed('its container was removed from outside');
  if (task.state === 'stopping') return { state: 'stopped', exitCode, failure: undefined };
  const failure = whyFailed(task, container, run);
  return failure === undefined ? { state: 'completed', exitCode, failure } : failed(failure);
}

function whyFailed(
  task: Pick<Task, 'state' | 'mode'>,
  { exitCode, wasOutOfMemory, status }: ContainerState,
  run: RunEvidence | undefined,
): string | undefined {
  if (status === 'created') return 'its container never started';
  // Of an agent that went on after the kernel had ended a program of its, this is no more than a note.
  if (wasOutOfMemory && exitCode !== 0) return 'it used more memory than its limit and was killed';
  if (exitCode === OUTLIVED && hasRuns(task))
    return 'it went on after its time limit, and was killed with all that it ran';
  if (exitCode === EXIT_TIMEOUT && hasRuns(task)) return 'it did not finish within its time limit';
  if (task.state === 'starting' && exitCode !== 0) return duringStartUp(exitCode);
  // The words alone may stand in any output.
  if (run?.summary.isSessionUnknown === true && exitCode !== 0)
    return 'its agent does not know the conversation it was to go on with; a follow-up with "fresh" begins a new one in the same workspace';
  // A shell ends with the code of its last command, which says nothing about the person who left it.
  if (task.mode === 'dev') return undefined;
  if (exitCode === EXIT_KILLED) return 'it was killed from outside';
  if (exitCode < 0) return 'nobody saw how it ended';
  if (exitCode !== 0) return `${whatRan(task)} ended with exit code ${exitCode}`;
  return run === undefined ? undefined : contraryWord(run);
}

function duringStartUp(exitCode: number): string {
  if (exitCode === EXIT_CLONE_FAILED) return 'its workspace could not be cloned from the gate';
  if (exitCode === EXIT_WORKSPACE_NOT_EMPTY) return 'its workspace was neither empty nor a repository';
  if (exitCode === EXIT_KILLED) return 'it was killed from outside during start-up';
  return `it ended during start-up with exit code ${exitCode}`;
}

/** What an agent's own events say against an exit code of 0. */
function contraryWord({ summary, format }: RunEvidence): string | undefined {
  const { result, lastError, deniedCount } = summary;
  if (result === 'failure') return 'the agent says itself that it failed';
  if (lastError !== undefined) return 'the agent ended with an error';
  if (deniedCount > 0)
    return `the agent was not let use ${deniedCount === 1 ? 'a tool' : 'tools'} that it needed`;
  // All others say in the end how it went: silence is a run that broke off.
  if (result === undefined && format !== 'text')
    return 'the agent broke off without saying how its work ended';
  return undefined;
}

function whatRan({ mode }: Pick<Task, 'mode'>): string {
  switch (mode) {
    case 'headless':
      return 'the agent';
    case 'tool':
      return 'the tool';
    case 'web':
      return 'the web program';
    case 'interactive':
    case 'dev':
      return 'it';
  }
}
