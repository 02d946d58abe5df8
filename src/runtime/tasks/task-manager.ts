import { CancelledError, ConflictError, NotFoundError } from '../core/errors.ts';
import type { Progress } from '../engine/contract.ts';
import type { TranscriptPage } from '../transcript/contract.ts';
import type {
  CreateTaskInput,
  FollowUpInput,
  LogPage,
  LogRequest,
  StartedTask,
  Task,
  TaskReport,
  TaskState,
  Tasks,
  TranscriptRequest,
} from './contract.ts';
import type { Reconciler } from './reconciler.ts';
import type { StartsUnderWay } from './starts-under-way.ts';
import { canBecome, hasEnded, isActive } from './state.ts';
import type { TaskCloser } from './task-closer.ts';
import type { TaskContext } from './task-context.ts';
import type { TaskLauncher } from './task-launcher.ts';
import type { TaskMonitor } from './task-monitor.ts';
import { ofThisStart, type TaskReports } from './task-reports.ts';
import type { TaskRestarter } from './task-restarter.ts';
import type { WebAddresses } from './web-addresses.ts';
import { loadWorkStatus } from './work-status-loader.ts';
import { turnsNotable } from './work-status-watch.ts';

export interface TaskManagerDeps {
  readonly starts: StartsUnderWay;
  readonly launcher: TaskLauncher;
  readonly restarter: TaskRestarter;
  readonly webAddresses: WebAddresses;
  readonly reports: TaskReports;
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

  async create(input: CreateTaskInput, signal?: AbortSignal, progress?: Progress): Promise<StartedTask> {
    await this.#deps.reconciler.ensure();
    return this.#watched(await this.#deps.launcher.create(input, signal, progress));
  }

  async followUp(input: FollowUpInput, signal?: AbortSignal, progress?: Progress): Promise<StartedTask> {
    const { id } = this.get(input.task);
    await this.#deps.reconciler.ensure();
    return this.#watched(await this.#deps.restarter.followUp(id, input, signal, progress));
  }

  async restart(
    id: string,
    options: { readonly recreate?: boolean | undefined } = {},
    signal?: AbortSignal,
    progress?: Progress,
  ): Promise<StartedTask> {
    const { id: known } = this.get(id);
    await this.#deps.reconciler.ensure();
    const how = { isRecreated: options.recreate ?? false };
    return this.#watched(await this.#deps.restarter.restart(known, how, signal, progress));
  }

  async webUrl(id: string): Promise<string> {
    const { id: known } = this.get(id);
    await this.#deps.reconciler.ensure();
    return await this.#deps.webAddresses.renew(known);
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
    return await this.#deps.reports.report(task, () => this.get(task.id), signal);
  }

  async waitFor(
    id: string,
    options: {
      readonly until: (task: Task) => boolean;
      readonly waitMs: number;
      readonly orWorkStatus?: boolean | undefined;
    },
    signal?: AbortSignal,
  ): Promise<Task> {
    const task = this.get(id);
    if (options.until(task) || options.waitMs <= 0) return task;
    const over = new AbortController();
    const ended = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
    const unsubscribe = this.#context.changes.subscribe(task.id, (changed) => {
      if (changed === undefined || options.until(changed)) over.abort();
    });
    if (options.orWorkStatus === true) {
      void this.#saysSo(task, ended).then(
        (isSo) => (isSo ? over.abort() : undefined),
        (error: unknown) =>
          this.#context.logger.warn(
            { task: task.id, error: String(error) },
            'a work status could not be read',
          ),
      );
    }
    try {
      await this.#context.clock.sleep(options.waitMs, ended).catch(() => undefined);
    } finally {
      over.abort();
      unsubscribe();
    }
    if (signal?.aborted === true) throw new CancelledError('The wait was cancelled; the task goes on');
    return this.get(task.id);
  }

  async logs(request: LogRequest): Promise<LogPage> {
    return await this.#deps.reports.logs(this.get(request.task), request);
  }

  async transcript(request: TranscriptRequest): Promise<TranscriptPage> {
    return await this.#deps.reports.transcript(this.get(request.task), request);
  }

  async stop(id: string, signal?: AbortSignal): Promise<Task> {
    const { id: known } = this.get(id);
    await this.#deps.reconciler.ensure();
    const wasCreating = this.#deps.starts.cancel(known);
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
    const wasCreating = this.#deps.starts.cancel(known);
    // Not cancellable: half a deletion helps nobody, and the next start would go on with it anyway.
    return await this.#context.mutex.run(known, async () => {
      const isGone = this.#context.store.get(known) === undefined;
      return isGone && wasCreating ? { archived: [] } : await this.#deps.closer.delete(this.get(known));
    });
  }

  activeCount(): number {
    return this.#context.store.list().filter(isActive).length;
  }

  #watched<T extends Task>(task: T): T {
    this.#deps.monitor.watch(task);
    return task;
  }

  #saysSo(task: Task, signal: AbortSignal): Promise<boolean> {
    const { files, clock } = this.#context;
    const { agentState } = files.pathsOf(task);
    const load = async () => ofThisStart(this.get(task.id), (await loadWorkStatus(agentState)).status);
    return turnsNotable(load, { before: this.#deps.reports.lastTold(task.id), clock }, signal);
  }
}
