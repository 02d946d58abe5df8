import { ConflictError } from '../core/errors.ts';
import { newTaskId, type TaskId } from '../core/ids.ts';
import { Scope } from '../core/scope.ts';
import type { Secret } from '../core/secret.ts';
import type { Progress } from '../engine/contract.ts';
import type { CreateTaskInput, StartedTask, Task, TaskMode } from './contract.ts';
import type { StartsUnderWay } from './starts-under-way.ts';
import { hasRuns } from './state.ts';
import type { TaskContext } from './task-context.ts';
import type { TaskPlan, TaskPlanner } from './task-planner.ts';
import type { Start, TaskStartUp } from './task-start-up.ts';
import { addressWith, hashOf, newGateToken, newWebToken, publicUrlOf } from './task-tokens.ts';
import { claimWebPort } from './web-port.ts';

export interface TaskLauncherDeps {
  readonly planner: TaskPlanner;
  readonly startUp: TaskStartUp;
  readonly starts: StartsUnderWay;
}

interface Launch extends Start {
  readonly webToken: Secret | undefined;
}

/** The part of a container's name that tells what it is for. */
const KIND: Readonly<Record<TaskMode, string>> = {
  headless: 'run',
  interactive: 'cli',
  web: 'web',
  tool: 'tool',
  dev: 'dev',
};

/** Brings a task into being: intent first, then everything it needs at once, and all of it or nothing. */
export class TaskLauncher {
  readonly #context: TaskContext;
  readonly #deps: TaskLauncherDeps;

  constructor(context: TaskContext, deps: TaskLauncherDeps) {
    this.#context = context;
    this.#deps = deps;
  }

  async create(
    input: CreateTaskInput,
    signal?: AbortSignal,
    progress: Progress = () => undefined,
  ): Promise<StartedTask> {
    const plan = await this.#deps.planner.plan(input);
    const id = this.#unusedId();
    return await this.#deps.starts.run(id, signal, (either) =>
      this.#context.mutex.run(id, async () => {
        const intended =
          plan.mode === 'web'
            ? await claimWebPort(this.#context, plan, undefined, (port) =>
                this.#writeIntent(id, plan, input, port),
              )
            : this.#writeIntent(id, plan, input, undefined);
        return await this.#launch(intended, progress, either);
      }),
    );
  }

  #writeIntent(id: TaskId, plan: TaskPlan, input: CreateTaskInput, webPort: number | undefined): Launch {
    const { store, events, clock, checkpoint } = this.#context;
    const { project, agent, mode, restricted } = plan;
    const gateToken = newGateToken();
    const webToken = mode === 'web' ? newWebToken() : undefined;
    const task: Task = {
      id,
      project: project.id,
      name: input.name ?? `${mode === 'dev' ? mode : agent}-${id}`,
      mode,
      agent,
      restricted,
      state: 'creating',
      container: `${project.id}-${KIND[mode]}-${id}`,
      baseBranch: '',
      webPort,
      exitCode: undefined,
      failure: undefined,
      createdAt: clock.now().toISOString(),
      startedAt: undefined,
      finishedAt: undefined,
    };
    store.insert({
      task,
      run: hasRuns(task) ? { prompt: input.prompt ?? '' } : undefined,
      tokenHash: hashOf(gateToken),
      webTokenHash: webToken === undefined ? undefined : hashOf(webToken),
      settings: plan.settings,
      session: plan.run.session,
    });
    events.record({
      project: project.id,
      task: id,
      actor: 'client',
      kind: 'task.requested',
      data: { mode, agent },
    });
    checkpoint('create:intent-written');
    return { kind: 'create', task, plan, gateToken, webToken };
  }

  async #launch(launch: Launch, progress: Progress, signal: AbortSignal): Promise<StartedTask> {
    const { engine, events, store, files, gate, services, changes, checkpoint, clock } = this.#context;
    const { task, plan, webToken } = launch;
    const { project } = plan;
    const scope = new Scope();
    try {
      scope.defer(async () => void (await gate.closeTask(project, task.id)));
      scope.defer(() => files.remove(task));
      const ready = await this.#deps.startUp.prepare(launch, scope, progress, signal);
      const { baseBranch, image } = ready;
      const started = store.update(task.id, { baseBranch, image, startedAt: clock.now().toISOString() });
      scope.defer(() => engine.remove(task.container));
      await engine.launch(ready.spec, signal);
      await services.openDoor(started, project, ready.networkPath);
      checkpoint('create:container-started');
      const running = store.update(task.id, { state: 'starting' });
      events.record({ project: project.id, task: task.id, actor: 'system', kind: 'task.started' });
      checkpoint('create:committed');
      changes.announce(task.id, running);
      return { ...running, warnings: ready.warnings, webUrl: webUrlOf(running, plan, webToken) };
    } catch (error) {
      await this.#undo(task, scope, error);
      throw error;
    }
  }

  /**
   * The row goes last: while it stands, `Reconciler` undoes the rest. Nothing here may keep the resources from
   * being released, so the event comes after them.
   */
  async #undo(task: Task, scope: Scope, error: unknown): Promise<void> {
    const { events, changes, logger, store } = this.#context;
    try {
      await scope.dispose();
      store.remove(task.id);
      events.record({ project: task.project, task: task.id, actor: 'system', kind: 'task.not_created' });
    } catch (cause) {
      logger.error(
        { task: task.id, error: String(error), cause: String(cause) },
        'a failed task could not be undone whole',
      );
    }
    changes.announce(task.id, undefined);
  }

  #unusedId(): TaskId {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const id = newTaskId();
      if (this.#context.store.get(id) === undefined) return id;
    }
    throw new ConflictError('No unused task id was found', { hint: 'Delete old tasks.' });
  }
}

/** Told to whoever started the task, and kept nowhere. */
export function webUrlOf(
  { webPort }: Task,
  { settings, project }: Pick<TaskPlan, 'settings' | 'project'>,
  token: Secret | undefined,
): string | undefined {
  if (webPort === undefined || token === undefined) return undefined;
  return addressWith(publicUrlOf({ settings, project, port: webPort }), token);
}
