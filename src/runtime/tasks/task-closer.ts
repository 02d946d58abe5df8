import type { ContainerState } from '../engine/contract.ts';
import type { Task } from './contract.ts';
import { endingOf } from './outcome.ts';
import { withOwnUsage } from './run-usage.ts';
import type { TaskContext } from './task-context.ts';

/** The ways a task ends. Callers hold the task's mutex. */
export class TaskCloser {
  readonly #context: TaskContext;

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /**
   * Its container has ended: collects what it left, takes its services and network away, and records how it
   * ended. Collecting may fail without hiding the ending; removing the network may not.
   */
  async finish(task: Task, container: ContainerState | undefined): Promise<Task> {
    const { store, events, changes, clock, services, shield, vault } = this.#context;
    vault.revoke(task.id);
    await this.#collect(task);
    await services.close(task.id);
    await shield.lower(task.id);
    await this.#context.files.removeServices(task);
    const { ending, run } = await this.#judge(task, container);
    const finishedAt = container?.finishedAt ?? clock.now().toISOString();
    const ended = store.end(
      task.id,
      {
        state: ending.state,
        ...(ending.exitCode === undefined ? {} : { exitCode: ending.exitCode }),
        ...(ending.failure === undefined ? {} : { failure: ending.failure }),
        ...(run?.session === undefined ? {} : { session: run.session }),
        finishedAt,
      },
      run === undefined
        ? undefined
        : {
            ...run,
            endedAt: finishedAt,
            exitCode: ending.exitCode,
            failure: ending.failure ?? (ending.state === 'stopped' ? 'it was stopped' : undefined),
          },
    );
    events.record({
      project: task.project,
      task: task.id,
      actor: 'system',
      kind: `task.${ending.state}`,
      data: { exitCode: ending.exitCode ?? null, failure: ending.failure ?? null },
    });
    this.#context.refusals.forget(task.id);
    changes.announce(task.id, ended);
    return ended;
  }

  async #judge(task: Task, container: ContainerState | undefined) {
    const { store, evidences } = this.#context;
    const logOffset = store.origin(task.id)?.logOffset ?? 0;
    const evidence = await evidences.of(task, logOffset);
    const wasReady = task.state === 'starting' && (await evidences.wasReady(task, logOffset));
    const ending = endingOf(wasReady ? { ...task, state: 'running' } : task, container, evidence);
    const last = store.runs.last(task.id);
    const run =
      evidence === undefined || last === undefined || last.endedAt !== undefined
        ? undefined
        : {
            id: last.id,
            summary: withOwnUsage(
              evidence.summary,
              evidence.format,
              store.runs.earlier(task.id, last.id, evidence.summary.session),
            ),
            session: evidence.summary.session,
          };
    return { ending, run };
  }

  /** Stops the container where it runs, then finishes. Safe to repeat after a crash. */
  async stop(task: Task, signal?: AbortSignal): Promise<Task> {
    const { engine, store, changes } = this.#context;
    const stopping = task.state === 'stopping' ? task : store.update(task.id, { state: 'stopping' });
    changes.announce(task.id, stopping);
    await engine.stop(task.container, await this.#graceS(task), signal);
    return await this.finish(stopping, await engine.inspect(task.container));
  }

  /** Removes everything of a task but its events, its archived heads and its archived log. */
  async delete(task: Task): Promise<{ readonly archived: readonly string[] }> {
    const { engine, store, events, services, shield, files, changes, clock, refusals, vault } = this.#context;
    const deleting = task.state === 'deleting' ? task : store.update(task.id, { state: 'deleting' });
    changes.announce(task.id, deleting);
    await engine.remove(task.container);
    vault.revoke(task.id);
    await this.#collect(task);
    await services.close(task.id);
    await shield.lower(task.id);
    const archived = await this.#closeGate(task);
    await files.archive(task, clock.now().toISOString().replace(/[:.]/g, '-'));
    await files.remove(task);
    store.remove(task.id);
    refusals.forget(task.id);
    events.record({
      project: task.project,
      task: task.id,
      actor: 'client',
      kind: 'task.deleted',
      data: { archived },
    });
    changes.announce(task.id, undefined);
    return { archived };
  }

  /** A creation that never finished. Its pushes, if it got that far, are archived like any other. */
  async undo(task: Task): Promise<void> {
    const { engine, store, events, services, shield, files, changes, vault } = this.#context;
    await engine.remove(task.container);
    vault.revoke(task.id);
    await services.close(task.id);
    await shield.lower(task.id);
    await this.#closeGate(task);
    await files.remove(task);
    store.remove(task.id);
    events.record({ project: task.project, task: task.id, actor: 'system', kind: 'task.not_created' });
    changes.announce(task.id, undefined);
  }

  async #collect(task: Task): Promise<void> {
    const { gate, refusals, projects, logger, credentials } = this.#context;
    const steps = await Promise.allSettled([
      refusals.record(task),
      credentials.record(task),
      projects.get(task.project).then((project) => gate.publish(project, task.id)),
    ]);
    for (const step of steps) {
      if (step.status === 'rejected')
        logger.warn(
          { task: task.id, error: String(step.reason) },
          'something of an ended task was not collected',
        );
    }
  }

  /** A project whose file is gone or broken keeps its gate as it is: nothing is lost by leaving refs there. */
  async #closeGate(task: Task): Promise<readonly string[]> {
    const { projects, gate, logger } = this.#context;
    const project = await projects.get(task.project).catch((error: unknown) => {
      logger.warn({ task: task.id, error: String(error) }, 'the refs of a deleted task stay in its gate');
      return undefined;
    });
    if (project === undefined) return [];
    return (await gate.closeTask(project, task.id)).map(({ ref }) => ref);
  }

  async #graceS(task: Task): Promise<number> {
    const project = await this.#context.projects.get(task.project).catch(() => undefined);
    return project?.settings.run.shutdown_timeout ?? 10;
  }
}
