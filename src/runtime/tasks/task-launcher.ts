import { createHash, randomBytes } from 'node:crypto';
import { ConflictError } from '../core/errors.ts';
import { newTaskId, type TaskId } from '../core/ids.ts';
import { Scope } from '../core/scope.ts';
import { Secret } from '../core/secret.ts';
import type { Progress } from '../engine/contract.ts';
import { projectImages } from '../images/contract.ts';
import { imageOf } from './agent-image.ts';
import type { CreatedTask, CreateTaskInput, Task, TaskMode } from './contract.ts';
import { assertUsable } from './gpu-access.ts';
import { CONTAINER_USER, runSpec } from './run-spec.ts';
import type { TaskContext } from './task-context.ts';
import type { TaskPlan, TaskPlanner } from './task-planner.ts';

/** One creation: its plan, and what it is known by from now on. */
interface Launch extends TaskPlan {
  readonly task: Task;
  readonly token: Secret;
}

/** The part of a container's name that tells what it is for. */
const KIND: Readonly<Record<TaskMode, string>> = { headless: 'run', interactive: 'cli', dev: 'dev' };

/** Brings a task into being: intent first, then everything it needs at once, and all of it or nothing. */
export class TaskLauncher {
  readonly #context: TaskContext;
  readonly #planner: TaskPlanner;
  readonly #launches = new Map<
    TaskId,
    { readonly cancel: AbortController; readonly done: Promise<unknown> }
  >();
  readonly #stopping = new AbortController();

  constructor(context: TaskContext, deps: { readonly planner: TaskPlanner }) {
    this.#context = context;
    this.#planner = deps.planner;
  }

  async create(
    input: CreateTaskInput,
    signal?: AbortSignal,
    progress: Progress = () => undefined,
  ): Promise<CreatedTask> {
    const plan = await this.#planner.plan(input);
    const id = this.#unusedId();
    const cancel = new AbortController();
    const either = AbortSignal.any([
      cancel.signal,
      this.#stopping.signal,
      ...(signal === undefined ? [] : [signal]),
    ]);
    const launch = this.#context.mutex.run(id, () =>
      this.#launch(this.#writeIntent(id, plan, input), progress, either),
    );
    this.#launches.set(id, { cancel, done: launch.catch(() => undefined) });
    return await launch.finally(() => this.#launches.delete(id));
  }

  /** Ends a creation under way; everything of it is undone. Says whether there was one. */
  cancel(id: TaskId): boolean {
    const launch = this.#launches.get(id);
    launch?.cancel.abort();
    return launch !== undefined;
  }

  /** Ends all creations and waits until they are undone. None starts afterwards. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#launches.values()].map(({ done }) => done));
  }

  #writeIntent(id: TaskId, plan: TaskPlan, input: CreateTaskInput): Launch {
    const { store, events, clock, checkpoint } = this.#context;
    const { project, agent, mode, restricted } = plan;
    const token = new Secret(`terok-g-${randomBytes(32).toString('hex')}`);
    const task: Task = {
      id,
      project: project.id,
      name: input.name ?? `${mode === 'dev' ? mode : agent.name}-${id}`,
      mode,
      agent: agent.name,
      restricted,
      state: 'creating',
      container: `${project.id}-${KIND[mode]}-${id}`,
      baseBranch: '',
      exitCode: undefined,
      failure: undefined,
      createdAt: clock.now().toISOString(),
      startedAt: undefined,
      finishedAt: undefined,
    };
    store.insert({
      task,
      prompt: input.prompt,
      tokenHash: createHash('sha256').update(token.reveal()).digest(),
      settings: plan.settings,
      session: plan.run.session,
    });
    events.record({
      project: project.id,
      task: id,
      actor: 'client',
      kind: 'task.requested',
      data: { mode, agent: agent.name },
    });
    checkpoint('create:intent-written');
    return { ...plan, task, token };
  }

  async #launch(launch: Launch, progress: Progress, signal: AbortSignal): Promise<CreatedTask> {
    const { engine, events, store, changes, checkpoint, clock, gpus } = this.#context;
    const { task, project } = launch;
    const scope = new Scope();
    try {
      // Neither needs the other, so none waits; the first failure undoes what the others did.
      const [gate, networkPath, image, gpu, info] = await all([
        this.#openGate(launch, scope, signal),
        this.#raiseShield(launch, scope, signal),
        this.#findImage(launch, progress, signal),
        gpus.grant(project.settings.run.gpus),
        engine.info(signal),
        this.#openServices(launch, scope),
      ]);
      assertUsable(gpu, info);
      const { baseBranch } = gate;
      const started = store.update(task.id, { baseBranch, image, startedAt: clock.now().toISOString() });
      scope.defer(() => engine.remove(task.container));
      await engine.launch(
        runSpec({
          task: started,
          project,
          run: launch.run,
          gpu,
          image,
          paths: this.#context.files.pathsOf(task),
          networkPath,
          idMapping: engine.idMapping(CONTAINER_USER),
          engine: info,
          instance: this.#context.instance,
          timeoutS: launch.timeoutS,
        }),
        signal,
      );
      checkpoint('create:container-started');
      const running = store.update(task.id, { state: 'starting' });
      events.record({ project: project.id, task: task.id, actor: 'system', kind: 'task.started' });
      checkpoint('create:committed');
      changes.announce(task.id, running);
      return { ...running, warnings: [...launch.run.warnings, ...gate.warnings] };
    } catch (error) {
      await this.#undo(task, scope, error);
      throw error;
    }
  }

  /** Fails before the container is made when the agent cannot run in it. */
  async #findImage(
    { mode, agent, project }: Launch,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<string> {
    const { images } = this.#context;
    const request = projectImages(project);
    return mode === 'dev'
      ? await images.ensureDev(request, progress, signal)
      : imageOf(agent.name, await images.ensure(request, progress, signal), project);
  }

  async #openGate(
    { task, project }: Launch,
    scope: Scope,
    signal: AbortSignal,
  ): Promise<{ readonly baseBranch: string; readonly warnings: readonly string[] }> {
    const { gate, checkpoint } = this.#context;
    const { defaultBranch, stale } = await gate.sync(project, signal);
    scope.defer(async () => void (await gate.closeTask(project, task.id)));
    await gate.openTask(project, task.id, signal);
    checkpoint('create:gate-opened');
    const warnings =
      stale === undefined ? [] : ['Upstream could not be fetched: the task starts from what the gate has.'];
    return { baseBranch: defaultBranch, warnings };
  }

  async #raiseShield({ task }: Launch, scope: Scope, signal: AbortSignal): Promise<string> {
    const { shield, checkpoint, store } = this.#context;
    scope.defer(() => shield.lower(task.id));
    const { networkPath } = await shield.raise(task.id, store.egressRules(task.id), signal);
    checkpoint('create:shield-raised');
    return networkPath;
  }

  async #openServices({ task, project, run, token }: Launch, scope: Scope): Promise<void> {
    const { files, services, engine, checkpoint } = this.#context;
    scope.defer(() => files.remove(task));
    await files.create(task, engine.hostOwner(CONTAINER_USER));
    checkpoint('create:directories-made');
    await files.writeConfig(task, run.files);
    checkpoint('create:config-written');
    await files.writeService(task, 'gate-token', token.reveal());
    await files.writeService(task, 'prompt', run.prompt ?? '');
    scope.defer(() => services.close(task.id));
    await services.open(task, project);
    checkpoint('create:services-listening');
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

/** Promise.all that waits for the stragglers before it fails, so that nothing appears after it was undone. */
async function all<T extends readonly unknown[] | []>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  try {
    return await Promise.all(promises);
  } catch (error) {
    await Promise.allSettled(promises);
    throw error;
  }
}
