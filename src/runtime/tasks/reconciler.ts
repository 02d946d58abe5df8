import { assertNever, PolicyError } from '../core/errors.ts';
import { LABEL } from '../engine/contract.ts';
import type { Project } from '../projects/contract.ts';
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
      (state === 'creating' || state === 'restarting' || state === 'deleting' || state === 'stopping') &&
      !mutex.isHeld(id);
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
      case 'abandon':
        return await this.#abandon(repair.task);
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
    if (container?.status !== 'running') await this.#closer.finish(this.#committed(task), container);
  }

  /** Its container runs, or ran: whoever started it again did not live to say so. */
  #committed(task: Task): Task {
    return task.state === 'restarting' ? this.#context.store.commitRestart(task.id) : task;
  }

  /** Nothing of the attempt stays, and its run says that it never began. */
  async #abandon(task: Task): Promise<void> {
    const { engine, services, shield, files, store, events, changes, clock, vault } = this.#context;
    await engine.stop(task.container, 0);
    vault.revoke(task.id);
    await services.close(task.id);
    await shield.lower(task.id);
    await files.removeServices(task);
    const before = store.abandonRestart(task.id, {
      at: clock.now().toISOString(),
      failure: 'it was cut off before it began',
    });
    events.record({ project: task.project, task: task.id, actor: 'system', kind: 'task.not_restarted' });
    changes.announce(task.id, before);
  }

  /**
   * A running task goes on only behind exactly its own rules: otherwise it is stopped, with its work kept. Whatever
   * else is in the way (a project file that is broken just now, a slow nft) leaves it running behind the rules it
   * has, and is tried again.
   */
  async #resume(found: Task, containerPid: number | undefined): Promise<void> {
    const { shield, store, projects, services, files, changes, logger } = this.#context;
    const task = this.#committed(found);
    if (task !== found) changes.announce(task.id, task);
    if (services.isOpen(task.id)) return;
    // It was to be stopped for this, by a daemon that did not get to do it.
    if (task.failure !== undefined) return void (await this.#closer.stop(task));
    let networkPath: string;
    try {
      ({ networkPath } = await shield.adopt(task.id, containerPid, store.egressRules(task.id)));
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      logger.error({ task: task.id, error: String(error) }, 'a running task is stopped');
      const failure = 'it was stopped, for its network rules were not its own';
      await this.#closer.stop(store.update(task.id, { failure }));
      return;
    }
    // Watched from now on, whether or not its services can be opened yet.
    this.#monitor.watch(task);
    await files.createServices(task);
    const project = await projects.get(task.project);
    await services.open(task, project, { hasSshAgent: await this.#hasSshAgent(task, project) });
    await services.openDoor(task, project, networkPath);
  }

  /** Its tokens are still valid, and an agent is there where the project has one now. */
  async #hasSshAgent({ mode, agent }: Task, project: Project): Promise<boolean> {
    if (mode === 'tool') return false;
    return (await this.#context.vault.planGrants({ project, agent, mode })).hasSshAgent;
  }

  async #stop(task: Task): Promise<void> {
    if (task.state === 'stopping') await this.#closer.stop(task);
    else await this.#context.engine.stop(task.container, 0);
  }
}
