import type { StateDatabase } from '../../core/database.ts';
import { NotFoundError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';

/** How often a person gave a task the amount of its budget again. */
export class BudgetExtensions {
  readonly #database: StateDatabase;
  readonly #times = new Map<TaskId, number>();

  constructor(deps: { readonly database: StateDatabase }) {
    this.#database = deps.database;
  }

  timesOf(task: TaskId): number {
    const known = this.#times.get(task);
    if (known !== undefined) return known;
    const row = this.#database
      .prepare<unknown[], { times: number }>('SELECT times FROM budget_extensions WHERE task = ?')
      .get(task);
    const times = row?.times ?? 0;
    this.#times.set(task, times);
    return times;
  }

  /** At least so often from now on: doing it twice is doing it once. Throws NotFoundError when the task has gone. */
  extendTo(task: TaskId, times: number): void {
    const isThere = this.#database.prepare('SELECT 1 FROM tasks WHERE id = ?').get(task) !== undefined;
    if (!isThere) throw new NotFoundError(`The task ${task} has gone`);
    this.#database
      .prepare(
        `INSERT INTO budget_extensions (task, times) VALUES (?, ?)
         ON CONFLICT (task) DO UPDATE SET times = max(times, excluded.times)`,
      )
      .run(task, times);
    this.#times.set(task, Math.max(times, this.timesOf(task)));
  }

  forget(task: TaskId): void {
    this.#times.delete(task);
  }
}
