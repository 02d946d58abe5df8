import { assertNever } from '../core/errors.ts';
import { type ContainerState, LABEL } from '../engine/contract.ts';
import type { Task } from './contract.ts';

/** What the next start makes of what the last one left. */
export type Repair =
  /** A creation that never finished: everything it made goes. */
  | { readonly kind: 'undo'; readonly task: Task }
  | { readonly kind: 'resume-delete'; readonly task: Task }
  /** Its container runs: listen and watch again. */
  | { readonly kind: 'resume'; readonly task: Task; readonly container: ContainerState }
  /** Its container ended, or is gone, while nobody looked. */
  | { readonly kind: 'finish'; readonly task: Task; readonly container: ContainerState | undefined }
  | { readonly kind: 'stop'; readonly task: Task; readonly container: ContainerState | undefined }
  | { readonly kind: 'remove-container'; readonly name: string }
  | { readonly kind: 'lower-shield'; readonly task: string }
  | { readonly kind: 'remove-services'; readonly task: string };

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
    return (
      task !== undefined &&
      (task.state === 'starting' || task.state === 'running') &&
      byTask.get(id)?.status === 'running'
    );
  };
  return [
    ...repairs,
    ...observed.containers
      .filter((container) => !known.has(container.labels[LABEL.task] ?? ''))
      .map(({ name }): Repair => ({ kind: 'remove-container', name })),
    ...observed.raised.filter((id) => !isLive(id)).map((task): Repair => ({ kind: 'lower-shield', task })),
    ...observed.services
      .filter((id) => !isLive(id))
      .map((task): Repair => ({ kind: 'remove-services', task })),
  ];
}

function repairTask(task: Task, container: ContainerState | undefined): readonly Repair[] {
  switch (task.state) {
    case 'creating':
      return [{ kind: 'undo', task }];
    case 'deleting':
      return [{ kind: 'resume-delete', task }];
    case 'starting':
    case 'running':
      return container?.status === 'running'
        ? [{ kind: 'resume', task, container }]
        : [{ kind: 'finish', task, container }];
    case 'stopping':
      return [{ kind: 'stop', task, container }];
    case 'stopped':
    case 'completed':
    case 'failed':
      // Somebody started it by hand: without its services and our watch it has no business running.
      return container?.status === 'running' ? [{ kind: 'stop', task, container }] : [];
    default:
      return assertNever(task.state);
  }
}
