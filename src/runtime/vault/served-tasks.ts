import type { TaskId } from '../core/ids.ts';
import type { Project } from '../projects/contract.ts';
import type { TaskOfVault } from './contract.ts';

/** The tasks whose credential proxy is open, with their project as it was when it opened: its budget counts. */
export class ServedTasks {
  readonly #tasks = new Map<TaskId, TaskOfVault>();

  /** Returns the way to end it. */
  enter(task: TaskOfVault): () => void {
    this.#tasks.set(task.id, task);
    return () => {
      // A later opening of the same task stays.
      if (this.#tasks.get(task.id) === task) this.#tasks.delete(task.id);
    };
  }

  projectOf(task: TaskId): Project | undefined {
    return this.#tasks.get(task)?.project;
  }
}
