import { assertNever, PolicyError } from '../core/errors.ts';
import { LABEL } from '../engine/contract.ts';
import type { Task } from './contract.ts';
import { planRepairs, type Repair, taskOf } from './reconcile-plan.ts';
import { isActive } from './state.ts';
import type { TaskCloser } from './task-closer.ts';
import type { TaskContext } from './task-context.ts';
import type { TaskMonitor } from './task-monitor.ts';

const LOOK_AGAIN_MS = 15_000;

/** Makes store, Podman, kernel and disk agree again after a crash, a reboot or a hand in between. */
export class Reconciler {
  readonly #context: TaskContext;
  readonly #closer: TaskCloser;
  readonly #monitor: TaskMonitor;
  #done: Promise<void> | undefined;
  #hasFailedRepairs = false;

  constructor(context: TaskContext, deps: { readonly closer: TaskCloser; readonly monitor: TaskMonitor }) {
    this.#context = context;
    this.#closer = deps.closer;
    this.#monitor = deps.monitor;
  }

  /**
   * Runs once with success; after a failure (Podman missing, say) the next caller tries again. Nothing is
   * concluded from a query that failed.
   */
  async ensure(): Promise<void> {
    this.#done ??= this.#run();
    try {
      await this.#done;
    } catch (error) {
      this.#done = undefined;
      throw error;
    }
  }

  /** Looks again, from time to time, while something is left that an earlier look could not repair. */
  async keepLooking(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#context;
    while (!signal.aborted) {
      await clock.sleep(LOOK_AGAIN_MS, signal).catch(() => undefined);
      if (signal.aborted || !this.#needsAnotherLook()) continue;
      this.#done = undefined;
      await this.ensure().catch((error: unknown) => {
        logger.warn({ error: String(error) }, 'what is left could not be looked at');
      });
    }
  }

  #needsAnotherLook(): boolean {
    const { store, mutex } = this.#context;
    const isStranded = ({ id, state }: Task): boolean =>
      (state === 'creating' || state === 'deleting' || state === 'stopping') && !mutex.isHeld(id);
    return this.#hasFailedRepairs || store.list().some(isStranded);
  }

  async #run(): Promise<void> {
    const { store, engine, shield, files, instance, mutex, logger } = this.#context;
    const [containers, raised, services] = await Promise.all([
      engine.list({ [LABEL.instance]: instance }),
      shield.raised(),
      files.servicesOnDisk(),
    ]);
    const repairs = planRepairs({ tasks: store.list(), containers, raised, services });
    this.#hasFailedRepairs = false;
    await Promise.all(
      repairs.map(async (repair) => {
        const key = taskOf(repair);
        try {
          await mutex.run(key, () => this.#apply(repair));
        } catch (error) {
          this.#hasFailedRepairs = true;
          logger.error(
            { repair: repair.kind, key, error: String(error) },
            'something left by an earlier run could not be repaired',
          );
        }
      }),
    );
    if (repairs.length > 0)
      logger.info({ repairs: repairs.length }, 'reconciled with what an earlier run left');
  }

  /** Holds the task's lock. What the plan saw may have changed while it waited for it: then it no longer applies. */
  async #apply(repair: Repair): Promise<void> {
    const { engine, shield, files, store } = this.#context;
    const current = store.get(taskOf(repair));
    if ('state' in repair && current?.state !== repair.state) return;
    switch (repair.kind) {
      case 'undo':
        return await this.#closer.undo(repair.task);
      case 'resume-delete':
        return void (await this.#closer.delete(repair.task));
      case 'resume':
        return await this.#resume(repair.task, repair.container.pid);
      case 'finish':
        return await this.#finish(repair.task);
      case 'stop':
        return await this.#stop(repair.task);
      case 'remove-container':
        return current === undefined ? await engine.remove(repair.name) : undefined;
      case 'lower-shield':
        return current !== undefined && isActive(current) ? undefined : await shield.lower(repair.id);
      case 'remove-services':
        return current !== undefined && isActive(current) ? undefined : await files.removeServices(repair);
      default:
        return assertNever(repair);
    }
  }

  async #finish(task: Task): Promise<void> {
    const container = await this.#context.engine.inspect(task.container);
    if (container?.status !== 'running') await this.#closer.finish(task, container);
  }

  /**
   * A running task goes on only behind exactly its own rules: otherwise it is stopped, with its work kept. Whatever
   * else is in the way (a project file that is broken just now, a slow nft) leaves it running behind the rules it
   * has, and is tried again.
   */
  async #resume(task: Task, containerPid: number | undefined): Promise<void> {
    const { shield, store, projects, services, files, logger } = this.#context;
    if (services.isOpen(task.id)) return;
    try {
      await shield.adopt(task.id, containerPid, store.egressRules(task.id));
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      logger.error({ task: task.id, error: String(error) }, 'a running task is stopped');
      store.update(task.id, { failure: 'it was stopped, for its network rules were not its own' });
      await this.#closer.stop(task);
      return;
    }
    // Watched from now on, whether or not its services can be opened yet.
    if (task.state === 'starting') this.#monitor.watchReadiness(task);
    await files.createServices(task);
    await services.open(task, await projects.get(task.project));
  }

  async #stop(task: Task): Promise<void> {
    if (task.state === 'stopping') await this.#closer.stop(task);
    else await this.#context.engine.stop(task.container, 0);
  }
}
