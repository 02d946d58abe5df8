import { assertNever } from '../core/errors.ts';
import { LABEL } from '../engine/contract.ts';
import type { Task } from './contract.ts';
import { planRepairs, type Repair } from './reconcile-plan.ts';
import type { TaskCloser } from './task-closer.ts';
import type { TaskContext } from './task-context.ts';
import type { TaskMonitor } from './task-monitor.ts';

/** Makes store, Podman, kernel and disk agree again after a crash, a reboot or a hand in between. */
export class Reconciler {
  readonly #context: TaskContext;
  readonly #closer: TaskCloser;
  readonly #monitor: TaskMonitor;
  #done: Promise<void> | undefined;

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

  async #run(): Promise<void> {
    const { store, engine, shield, files, instance, mutex, logger } = this.#context;
    const [containers, raised, services] = await Promise.all([
      engine.list({ [LABEL.instance]: instance }),
      shield.raised(),
      files.servicesOnDisk(),
    ]);
    const repairs = planRepairs({ tasks: store.list(), containers, raised, services });
    await Promise.all(
      repairs.map(async (repair) => {
        const key =
          'task' in repair ? (typeof repair.task === 'string' ? repair.task : repair.task.id) : repair.name;
        try {
          await mutex.run(key, () => this.#apply(repair));
        } catch (error) {
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

  async #apply(repair: Repair): Promise<void> {
    const { engine, shield, files } = this.#context;
    switch (repair.kind) {
      case 'undo':
        return await this.#closer.undo(repair.task);
      case 'resume-delete':
        return void (await this.#closer.delete(repair.task));
      case 'resume':
        return await this.#resume(repair.task, repair.container.pid);
      case 'finish':
        return void (await this.#closer.finish(repair.task, repair.container));
      case 'stop':
        return await this.#stop(repair.task);
      case 'remove-container':
        return await engine.remove(repair.name);
      case 'lower-shield':
        return await shield.lower(repair.task);
      case 'remove-services':
        return await files.removeServices({ id: repair.task });
      default:
        return assertNever(repair);
    }
  }

  /** A running task goes on only behind exactly its own rules; otherwise it is stopped, with its work kept. */
  async #resume(task: Task, containerPid: number | undefined): Promise<void> {
    const { shield, store, projects, services, files, logger } = this.#context;
    try {
      if (containerPid === undefined) throw new Error('the container shows no process');
      await shield.adopt(task.id, containerPid, store.egressRules(task.id));
      await files.createServices(task);
      await services.open(task, await projects.get(task.project));
    } catch (error) {
      logger.error(
        { task: task.id, error: String(error) },
        'a running task could not be taken over and is stopped',
      );
      store.update(task.id, { failure: 'it was stopped, for its network or services could not be restored' });
      await this.#closer.stop(task);
      return;
    }
    if (task.state === 'starting') this.#monitor.watchReadiness(task);
  }

  async #stop(task: Task): Promise<void> {
    if (task.state === 'stopping') await this.#closer.stop(task);
    else await this.#context.engine.stop(task.container, 0);
  }
}
