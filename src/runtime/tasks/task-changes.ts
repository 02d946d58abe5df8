import type { Task } from './contract.ts';

/** Wakes whoever waits for a task to change. Listeners are told after the change is stored. */
export class TaskChanges {
  readonly #listeners = new Map<string, Set<(task: Task | undefined) => void>>();

  /** `undefined` says the task is gone. */
  announce(id: string, task: Task | undefined): void {
    for (const listener of [...(this.#listeners.get(id) ?? [])]) listener(task);
  }

  subscribe(id: string, listener: (task: Task | undefined) => void): () => void {
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(id);
    };
  }
}
