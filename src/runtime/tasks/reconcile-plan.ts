import { assertNever } from '../core/errors.ts';
import { type ContainerState, LABEL } from '../engine/contract.ts';
import type { Task, TaskState } from './contract.ts';
import { isUp } from './state.ts';

/** What the next start makes of what the last one left. */
export type Repair =
  /** A creation that never finished: everything it made goes. */
  | { readonly kind: 'undo'; readonly task: Task; readonly state: TaskState }
  | { readonly kind: 'resume-delete'; readonly task: Task; readonly state: TaskState }
  /** Its container runs: listen and watch again. */
  | {
      readonly kind: 'resume';
      readonly task: Task;
      readonly state: TaskState;
      readonly container: ContainerState;
    }
  /** Was being started again, and its container did not get to run: it is what it was. */
  | { readonly kind: 'abandon'; readonly task: Task; readonly state: TaskState }
  /** Its container ended, or is gone, while nobody looked. */
  | { readonly kind: 'finish'; readonly task: Task; readonly state: TaskState }
  | { readonly kind: 'stop'; readonly task: Task; readonly state: TaskState }
  | { readonly kind: 'remove-container'; readonly id: string; readonly name: string }
  | { readonly kind: 'lower-shield'; readonly id: string }
  | { readonly kind: 'remove-services'; readonly id: string };

/** The task a repair is about, by id: whose lock it needs. */
export const taskOf = (repair: Repair): string => ('task' in repair ? repair.task.id : repair.id);

export interface Observed {
  readonly tasks: readonly Task[];
  readonly containers: readonly ContainerState[];
  readonly raised: readonly string[];
  readonly services: readonly string[];
}

/**
 * Compares the store with what Podman, the kernel and the disk show (pure). Only ever given complete answers:
 * a query that failed must not get here, or it would read as "there is none".
 */
export function planRepairs(observed: Observed): readonly Repair[] {
  const byTask = new Map(
    observed.containers.map((container) => [container.labels[LABEL.task] ?? '', container]),
  );
  const known = new Map(observed.tasks.map((task) => [String(task.id), task]));
  const repairs = observed.tasks.flatMap((task) => repairTask(task, byTask.get(task.id)));
  const isLive = (id: string): boolean => {
    const task = known.get(id);
    const container = byTask.get(id);
    return (
      task !== undefined &&
      container?.status === 'running' &&
      (isUp(task) || (task.state === 'restarting' && hasStarted(task, container)))
    );
  };
  return [
    ...repairs,
    ...observed.containers
      .filter((container) => !known.has(container.labels[LABEL.task] ?? ''))
      .map(
        ({ name, labels }): Repair => ({ kind: 'remove-container', id: labels[LABEL.task] ?? name, name }),
      ),
    ...observed.raised.filter((id) => !isLive(id)).map((id): Repair => ({ kind: 'lower-shield', id })),
    ...observed.services.filter((id) => !isLive(id)).map((id): Repair => ({ kind: 'remove-services', id })),
  ];
}

function repairTask(task: Task, container: ContainerState | undefined): readonly Repair[] {
  const { state } = task;
  switch (state) {
    case 'creating':
      return [{ kind: 'undo', task, state }];
    case 'deleting':
      return [{ kind: 'resume-delete', task, state }];
    case 'starting':
    case 'running':
      return container?.status === 'running'
        ? [{ kind: 'resume', task, state, container }]
        : [{ kind: 'finish', task, state }];
    case 'restarting':
      if (container === undefined || !hasStarted(task, container)) return [{ kind: 'abandon', task, state }];
      return container.status === 'running'
        ? [{ kind: 'resume', task, state, container }]
        : [{ kind: 'finish', task, state }];
    case 'stopping':
      return [{ kind: 'stop', task, state }];
    case 'stopped':
    case 'completed':
    case 'failed':
      // Somebody started it by hand: without its services and our watch it has no business running.
      return container?.status === 'running' ? [{ kind: 'stop', task, state }] : [];
    default:
      return assertNever(state);
  }
}

/** Whether what the container did last came after the intent to start it again, which the task's start time then is. */
export const hasStarted = ({ startedAt }: Task, container: ContainerState): boolean =>
  container.status !== 'created' &&
  startedAt !== undefined &&
  container.startedAt !== undefined &&
  Date.parse(container.startedAt) >= Date.parse(startedAt);
