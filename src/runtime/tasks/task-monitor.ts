import { setMaxListeners } from 'node:events';
import type { Task } from './contract.ts';
import type { RunFollower } from './run-follower.ts';
import { isActive, isComingUp, isUp } from './state.ts';
import type { TaskCloser } from './task-closer.ts';
import type { TaskContext } from './task-context.ts';
import { findReadyMarker } from './task-log-loader.ts';

const READY_POLL_MS = 20;
const REFUSAL_POLL_MS = 10_000;

/**
 * Watches what runs: when a workspace is ready, when a container ends, what the network refused. Whatever it
 * misses while the daemon is down is found again by the next start, for the truth is in Podman and the log.
 */
export class TaskMonitor {
  readonly #context: TaskContext;
  readonly #closer: TaskCloser;
  readonly #follower: RunFollower;
  readonly #stopping = new AbortController();
  #stopWatching: (() => void) | undefined;
  #check: Promise<void> | undefined;
  #checkAgain = false;
  #missedHint = false;

  constructor(context: TaskContext, deps: { readonly closer: TaskCloser; readonly follower: RunFollower }) {
    this.#context = context;
    this.#closer = deps.closer;
    this.#follower = deps.follower;
    // Each running task waits for it, for as long as it runs.
    setMaxListeners(Number.POSITIVE_INFINITY, this.#stopping.signal);
  }

  start(): void {
    this.#stopWatching ??= this.#context.engine.watchExits(() => this.checkExits());
    this.#loop(REFUSAL_POLL_MS, () => this.#recordRefusals());
  }

  stop(): void {
    this.#stopping.abort();
    this.#stopWatching?.();
  }

  /**
   * A task has just become one that is watched: until its workspace is ready, and for what its agent tells. A hint
   * that came before is taken up now.
   */
  watch(task: Task): void {
    const watching = [this.#followReadiness(task), this.#follower.follow(task, this.#stopping.signal)];
    for (const watched of watching) watched.catch((error: unknown) => this.#warn(error, task));
    if (!this.#missedHint) return;
    this.#missedHint = false;
    this.checkExits();
  }

  /** Looks, once, at all containers; calls while a look is under way cause exactly one more. */
  checkExits(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#check !== undefined) {
      this.#checkAgain = true;
      return;
    }
    this.#check = this.#finishEnded()
      .catch((error: unknown) => this.#warn(error))
      .finally(() => {
        this.#check = undefined;
        if (this.#checkAgain) {
          this.#checkAgain = false;
          this.checkExits();
        }
      });
  }

  async #finishEnded(): Promise<void> {
    const { engine, store, mutex } = this.#context;
    const tasks = store.list();
    if (tasks.some(isComingUp)) this.#missedHint = true;
    const watched = tasks.filter(isUp);
    if (watched.length === 0) return;
    const found = await engine.inspectAll(watched.map((task) => task.container));
    const containers = new Map(found.map((container) => [container.name, container]));
    const ended = watched.filter((task) => containers.get(task.container)?.status !== 'running');
    await Promise.all(
      ended.map((task) =>
        mutex.run(task.id, async () => {
          const current = store.get(task.id);
          if (current === undefined || !isUp(current)) return;
          // Asked again under the lock: the list may be older than the task.
          const container = await engine.inspect(task.container);
          if (container?.status !== 'running') await this.#closer.finish(current, container);
        }),
      ),
    );
  }

  async #followReadiness(task: Task): Promise<void> {
    const { store, files, clock, changes, events, mutex } = this.#context;
    const log = files.pathsOf(task).log;
    for (let offset = store.origin(task.id)?.logOffset ?? 0; !this.#stopping.signal.aborted; ) {
      const state = store.get(task.id)?.state;
      // What is running has read them; the one before us may not have lived to remove them.
      if (state === 'running') await files.removeSecrets(task);
      if (state !== 'starting') return;
      const seen = await findReadyMarker(log, offset);
      offset = seen.offset;
      if (seen.isReady) {
        await mutex.run(task.id, async () => {
          if (store.get(task.id)?.state !== 'starting') return;
          await files.removeSecrets(task);
          const ready = store.update(task.id, { state: 'running' });
          events.record({ project: task.project, task: task.id, actor: 'system', kind: 'task.ready' });
          changes.announce(task.id, ready);
        });
        return;
      }
      await clock.sleep(READY_POLL_MS, this.#stopping.signal).catch(() => undefined);
    }
  }

  async #recordRefusals(): Promise<void> {
    const running = this.#context.store.list().filter((task) => isActive(task) && !isComingUp(task));
    for (const task of running) {
      if (this.#stopping.signal.aborted) return;
      await this.#context.refusals.record(task).catch((error: unknown) => this.#warn(error, task));
    }
  }

  #loop(everyMs: number, step: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      while (!this.#stopping.signal.aborted) {
        await this.#context.clock.sleep(everyMs, this.#stopping.signal).catch(() => undefined);
        if (!this.#stopping.signal.aborted) await step().catch((error: unknown) => this.#warn(error));
      }
    };
    void run();
  }

  #warn(error: unknown, task?: Task): void {
    this.#context.logger.warn({ task: task?.id, error: String(error) }, 'a look at the running tasks failed');
  }
}
