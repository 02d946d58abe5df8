import { CancelledError, ConflictError, NotFoundError, RuntimeError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import { Scope } from '../core/scope.ts';
import type { Secret } from '../core/secret.ts';
import type { ContainerSpec, Progress } from '../engine/contract.ts';
import { chooseContainer, newContainerWarning } from './container-choice.ts';
import type { FollowUpInput, StartedTask, Task } from './contract.ts';
import { hasStarted } from './reconcile-plan.ts';
import type { StartsUnderWay } from './starts-under-way.ts';
import { hasEnded, hasRuns } from './state.ts';
import type { TaskContext } from './task-context.ts';
import { webUrlOf } from './task-launcher.ts';
import type { TaskPlan, TaskPlanner } from './task-planner.ts';
import { saidOf } from './task-settings.ts';
import type { Start, TaskStartUp } from './task-start-up.ts';
import { hashOf, newGateToken, newWebToken } from './task-tokens.ts';
import { claimWebPort } from './web-port.ts';

export interface TaskRestarterDeps {
  readonly planner: TaskPlanner;
  readonly startUp: TaskStartUp;
  readonly starts: StartsUnderWay;
}

type Again =
  | { readonly kind: 'follow-up'; readonly input: FollowUpInput }
  | { readonly kind: 'restart'; readonly isRecreated: boolean };

interface Restart extends Start {
  readonly again: Again;
  readonly webToken: Secret | undefined;
  readonly warnings: readonly string[];
}

/**
 * Starts tasks that have ended again: as a first start does, with the workspace, the gate's branches and the
 * conversations that they had. What fails leaves the ended task as it was, and nothing open.
 */
export class TaskRestarter {
  readonly #context: TaskContext;
  readonly #deps: TaskRestarterDeps;

  constructor(context: TaskContext, deps: TaskRestarterDeps) {
    this.#context = context;
    this.#deps = deps;
  }

  followUp(
    id: TaskId,
    input: FollowUpInput,
    signal?: AbortSignal,
    progress?: Progress,
  ): Promise<StartedTask> {
    return this.#restart(id, { kind: 'follow-up', input }, signal, progress);
  }

  restart(
    id: TaskId,
    options: { readonly isRecreated: boolean },
    signal?: AbortSignal,
    progress?: Progress,
  ): Promise<StartedTask> {
    return this.#restart(id, { kind: 'restart', ...options }, signal, progress);
  }

  async #restart(
    id: TaskId,
    again: Again,
    signal: AbortSignal | undefined,
    progress: Progress = () => undefined,
  ): Promise<StartedTask> {
    const { mutex, files } = this.#context;
    return await this.#deps.starts.run(id, signal, (either) =>
      mutex.run(id, async () => {
        if (either.aborted) throw new CancelledError('The start was cancelled; the task is as it was');
        const task = this.#restartable(id, again);
        const { plan, warnings } = await this.#plan(task, again);
        const logOffset = await files.logSize(task);
        const intent = (port: number | undefined): Restart => ({
          ...this.#writeIntent(task, plan, { port, logOffset, kind: again.kind }),
          again,
          warnings,
        });
        const intended =
          task.mode === 'web'
            ? await claimWebPort(this.#context, plan, task.webPort, intent)
            : intent(undefined);
        return await this.#launch(intended, progress, either);
      }),
    );
  }

  #restartable(id: TaskId, again: Again): Task {
    const task = this.#context.store.get(id);
    if (task === undefined) throw new NotFoundError(`There is no task "${id}" any more`);
    if (again.kind === 'follow-up' && task.mode !== 'headless') {
      throw new ConflictError(`Task ${id} is ${task.mode}: only a headless task takes another prompt`, {
        hint: task.mode === 'dev' ? 'Start a headless task.' : 'Start it again with restart_task.',
      });
    }
    if (!hasEnded(task)) {
      throw new ConflictError(`Task ${id} is ${task.state}; it has not ended`, {
        hint: 'Wait for its end with task_status, or stop it with stop_task.',
      });
    }
    if (task.mode === 'dev') {
      throw new ConflictError('A debugging shell that was left is not started again', {
        hint: 'Open a new one with "terok-mcp login <project> --dev".',
      });
    }
    return task;
  }

  async #plan(
    task: Task,
    again: Again,
  ): Promise<{ readonly plan: TaskPlan; readonly warnings: readonly string[] }> {
    const { store } = this.#context;
    const origin = store.origin(task.id);
    if (origin === undefined) throw new NotFoundError(`There is no task "${task.id}" any more`);
    const settings = { ...origin.settings, ...(again.kind === 'follow-up' ? saidOf(again.input) : {}) };
    const isToGoOn = again.kind === 'follow-up' && again.input.fresh !== true;
    // An agent knows a conversation in which it told something; one that broke off before never began.
    const session =
      isToGoOn && origin.session !== undefined && store.runs.hasTold(task.id, origin.session)
        ? origin.session
        : undefined;
    const prompt =
      task.mode !== 'headless'
        ? undefined
        : again.kind === 'follow-up'
          ? again.input.prompt
          : (store.runs.last(task.id)?.prompt ?? '');
    const plan = await this.#deps.planner.planAgain(task, { settings, prompt, session });
    const warnings =
      isToGoOn && session === undefined
        ? ['There is no earlier conversation that could go on; this is a new one in the same workspace.']
        : [];
    return { plan, warnings };
  }

  #writeIntent(
    task: Task,
    plan: TaskPlan,
    about: { readonly port: number | undefined; readonly logOffset: number; readonly kind: Again['kind'] },
  ): Omit<Restart, 'again' | 'warnings'> {
    const { store, events, changes, clock, checkpoint } = this.#context;
    const gateToken = newGateToken();
    const webToken = task.mode === 'web' ? newWebToken() : undefined;
    const restarting = store.beginRestart({
      id: task.id,
      at: clock.now().toISOString(),
      restricted: plan.restricted,
      settings: plan.settings,
      session: plan.run.session ?? plan.resumed,
      run: hasRuns(task) ? { prompt: plan.prompt ?? '' } : undefined,
      tokenHash: hashOf(gateToken),
      webTokenHash: webToken === undefined ? undefined : hashOf(webToken),
      webPort: about.port,
      logOffset: about.logOffset,
    });
    events.record({
      project: task.project,
      task: task.id,
      actor: 'client',
      kind: 'task.restart_requested',
      data: { as: about.kind },
    });
    checkpoint('restart:intent-written');
    changes.announce(task.id, restarting);
    return { kind: 'restart', task: restarting, plan, gateToken, webToken };
  }

  async #launch(restart: Restart, progress: Progress, signal: AbortSignal): Promise<StartedTask> {
    const { events, store, services, changes, checkpoint } = this.#context;
    const { task, plan, webToken } = restart;
    const scope = new Scope();
    try {
      const ready = await this.#deps.startUp.prepare(restart, scope, progress, signal);
      const warnings = await this.#run(restart, ready.spec, scope, signal);
      await services.openDoor(task, plan.project, ready.networkPath);
      checkpoint('restart:container-started');
      store.update(task.id, { baseBranch: ready.baseBranch, image: ready.image });
      const running = store.commitRestart(task.id);
      events.record({ project: task.project, task: task.id, actor: 'system', kind: 'task.started' });
      checkpoint('restart:committed');
      changes.announce(task.id, running);
      return {
        ...running,
        warnings: [...restart.warnings, ...ready.warnings, ...warnings],
        webUrl: webUrlOf(running, plan, webToken),
      };
    } catch (error) {
      await this.#undo(task, scope, error);
      throw error;
    }
  }

  /** In the container it had, where that can be; what speaks against it becomes a warning. */
  async #run(
    { task, again }: Restart,
    spec: ContainerSpec,
    scope: Scope,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { engine, logger } = this.#context;
    const container = await engine.inspect(task.container, signal);
    // Somebody started it by hand, behind no rules of ours.
    if (container?.status === 'running') await engine.stop(task.container, 0, signal);
    const choice = chooseContainer(container, spec, {
      isRecreated: again.kind === 'restart' && again.isRecreated,
    });
    scope.defer(() => engine.stop(task.container, 0));
    let why = choice.kind === 'make-anew' ? choice.why : undefined;
    if (choice.kind === 'start') {
      try {
        await engine.start(task.container, signal);
        return [];
      } catch (error) {
        if (!(error instanceof RuntimeError) || error instanceof CancelledError) throw error;
        // A slow Podman may have started it all the same, and a prompt is given once.
        const now = await engine.inspect(task.container, signal);
        if (now !== undefined && hasStarted(task, now)) return [];
        logger.warn({ task: task.id, error: String(error) }, 'a container could not be started again');
        why = 'the one it had could not be started again';
      }
    }
    await engine.remove(task.container, signal);
    await engine.launch(spec, signal);
    return why === undefined ? [] : [newContainerWarning(why)];
  }

  /** While the row says "restarting", `Reconciler` closes what could not be closed here. */
  async #undo(task: Task, scope: Scope, error: unknown): Promise<void> {
    const { events, changes, logger, store } = this.#context;
    try {
      await scope.dispose();
      const before = store.abandonRestart(task.id);
      events.record({ project: task.project, task: task.id, actor: 'system', kind: 'task.not_restarted' });
      changes.announce(task.id, before);
    } catch (cause) {
      logger.error(
        { task: task.id, error: String(error), cause: String(cause) },
        'a task that could not be started again could not be put back whole',
      );
    }
  }
}
