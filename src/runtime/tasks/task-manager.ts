import { CancelledError, ConflictError, NotFoundError } from '../core/errors.ts';
import type { Progress } from '../engine/contract.ts';
import type {
  CreatedTask,
  CreateTaskInput,
  LogPage,
  LogRequest,
  Task,
  TaskReport,
  TaskState,
  Tasks,
} from './contract.ts';
import type { Reconciler } from './reconciler.ts';
import { canBecome, hasEnded, isActive } from './state.ts';
import type { TaskCloser } from './task-closer.ts';
import type { TaskContext } from './task-context.ts';
import type { TaskLauncher } from './task-launcher.ts';
import { loadLogPage } from './task-log-loader.ts';
import type { TaskMonitor } from './task-monitor.ts';

const LAST_OUTPUT_LINES = 5;
const LAST_OUTPUT_CHARS = 1_000;

export interface TaskManagerDeps {
  readonly launcher: TaskLauncher;
  readonly closer: TaskCloser;
  readonly monitor: TaskMonitor;
  readonly reconciler: Reconciler;
}

/** The tasks as front ends see them. */
export class TaskManager implements Tasks {
  readonly #context: TaskContext;
  readonly #deps: TaskManagerDeps;

  constructor(context: TaskContext, deps: TaskManagerDeps) {
    this.#context = context;
    this.#deps = deps;
  }

  async create(input: CreateTaskInput, signal?: AbortSignal, progress?: Progress): Promise<CreatedTask> {
    await this.#deps.reconciler.ensure();
    const task = await this.#deps.launcher.create(input, signal, progress);
    this.#deps.monitor.watch(task);
    return task;
  }

  list(
    filter: { readonly project?: string | undefined; readonly state?: TaskState | undefined } = {},
  ): readonly Task[] {
    return this.#context.store
      .list()
      .filter((task) => filter.project === undefined || task.project === filter.project)
      .filter((task) => filter.state === undefined || task.state === filter.state);
  }

  get(id: string): Task {
    const exact = this.#context.store.get(id);
    if (exact !== undefined) return exact;
    const [only, ...others] = id === '' ? [] : this.#context.store.withPrefix(id);
    if (only !== undefined && others.length === 0) return only;
    if (only === undefined) {
      throw new NotFoundError(`There is no task "${id.slice(0, 40)}"`, {
        hint: 'list_tasks shows the tasks there are.',
      });
    }
    throw new NotFoundError(
      `"${id}" could be any of ${[only, ...others].map((task) => task.id).join(', ')}`,
      {
        hint: 'Give more characters of the id.',
      },
    );
  }

  async report(id: string, signal?: AbortSignal): Promise<TaskReport> {
    const task = this.get(id);
    const [branches, log, engineUnreachable] = await Promise.all([
      this.#branches(task, signal),
      this.logs({ task: task.id, tail: LAST_OUTPUT_LINES, maxChars: LAST_OUTPUT_CHARS }),
      this.#whyUnreachable(task, signal),
    ]);
    return { ...this.get(task.id), branches, lastOutput: log.lines, engineUnreachable };
  }

  async waitFor(
    id: string,
    options: { readonly until: (task: Task) => boolean; readonly waitMs: number },
    signal?: AbortSignal,
  ): Promise<Task> {
    const task = this.get(id);
    if (options.until(task) || options.waitMs <= 0) return task;
    const over = new AbortController();
    const ended = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
    const unsubscribe = this.#context.changes.subscribe(task.id, (changed) => {
      if (changed === undefined || options.until(changed)) over.abort();
    });
    try {
      await this.#context.clock.sleep(options.waitMs, ended).catch(() => undefined);
    } finally {
      unsubscribe();
    }
    if (signal?.aborted === true) throw new CancelledError('The wait was cancelled; the task goes on');
    return this.get(task.id);
  }

  async logs(request: LogRequest): Promise<LogPage> {
    const task = this.get(request.task);
    return await loadLogPage({
      file: this.#context.files.pathsOf(task).log,
      cursor: request.cursor,
      tail: request.tail,
      maxChars: request.maxChars,
      contains: request.contains,
      hasEnded: hasEnded(task),
    });
  }

  async stop(id: string, signal?: AbortSignal): Promise<Task> {
    const { id: known } = this.get(id);
    await this.#deps.reconciler.ensure();
    const wasCreating = this.#deps.launcher.cancel(known);
    return await this.#context.mutex.run(known, async () => {
      const task = this.#context.store.get(known);
      if (task === undefined && wasCreating) {
        throw new ConflictError(`Task ${known} was still being made`, {
          hint: 'Its creation was ended; nothing is left of it.',
        });
      }
      if (task === undefined) return this.get(known);
      if (hasEnded(task)) return task;
      if (!canBecome(task.state, 'stopping') && task.state !== 'stopping') {
        throw new ConflictError(`Task ${known} is ${task.state} and cannot be stopped now`, {
          hint: 'Try again in a moment.',
        });
      }
      return await this.#deps.closer.stop(task, signal);
    });
  }

  async delete(id: string): Promise<{ readonly archived: readonly string[] }> {
    const { id: known } = this.get(id);
    await this.#deps.reconciler.ensure();
    const wasCreating = this.#deps.launcher.cancel(known);
    // Not cancellable: half a deletion helps nobody, and the next start would go on with it anyway.
    return await this.#context.mutex.run(known, async () => {
      const isGone = this.#context.store.get(known) === undefined;
      return isGone && wasCreating ? { archived: [] } : await this.#deps.closer.delete(this.get(known));
    });
  }

  activeCount(): number {
    return this.#context.store.list().filter(isActive).length;
  }

  async #branches(task: Task, signal?: AbortSignal): Promise<TaskReport['branches']> {
    const project = await this.#context.projects.get(task.project).catch(() => undefined);
    if (project === undefined || task.state === 'creating') return [];
    const branches = await this.#context.gate.branches(project, task.id, signal);
    return branches.map(({ branch, head, ahead }) => ({ branch, head, ahead }));
  }

  /** "The query failed" is told, never read as "there is none". */
  async #whyUnreachable(task: Task, signal?: AbortSignal): Promise<string | undefined> {
    if (!isActive(task)) return undefined;
    try {
      await this.#context.engine.inspect(task.container, signal);
      return undefined;
    } catch (error) {
      if (error instanceof CancelledError) throw error;
      return error instanceof Error ? error.message : 'Podman could not be asked';
    }
  }
}
