import { createHash, randomBytes } from 'node:crypto';
import type { AgentFile } from '../agents/contract.ts';
import { ConflictError } from '../core/errors.ts';
import { newTaskId, type TaskId } from '../core/ids.ts';
import { Scope } from '../core/scope.ts';
import { Secret } from '../core/secret.ts';
import type { Project } from '../projects/contract.ts';
import type { CreateTaskInput, Task } from './contract.ts';
import { CONTAINER_USER, runSpec } from './run-spec.ts';
import type { TaskContext } from './task-context.ts';

interface Plan {
  readonly task: Task;
  readonly token: Secret;
  readonly project: Project;
  readonly agent: AgentFile;
  readonly prompt: string | undefined;
  readonly timeoutS: number;
}

/** Brings a task into being: intent first, then everything it needs at once, and all of it or nothing. */
export class TaskLauncher {
  readonly #context: TaskContext;
  readonly #launches = new Map<
    TaskId,
    { readonly cancel: AbortController; readonly done: Promise<unknown> }
  >();
  readonly #stopping = new AbortController();

  constructor(context: TaskContext) {
    this.#context = context;
  }

  async create(input: CreateTaskInput, signal?: AbortSignal): Promise<Task> {
    const project = await this.#context.projects.get(input.project);
    const agent = await this.#context.agents.get(input.agent ?? project.settings.run.default_agent);
    const id = this.#unusedId();
    const cancel = new AbortController();
    const either = AbortSignal.any([
      cancel.signal,
      this.#stopping.signal,
      ...(signal === undefined ? [] : [signal]),
    ]);
    const launch = this.#context.mutex.run(id, () =>
      this.#launch(this.#writeIntent(id, project, agent, input), either),
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

  #writeIntent(id: TaskId, project: Project, agent: AgentFile, input: CreateTaskInput): Plan {
    const { store, events, clock, checkpoint } = this.#context;
    const token = new Secret(`terok-g-${randomBytes(32).toString('hex')}`);
    const mode = input.prompt === undefined ? 'interactive' : 'headless';
    const task: Task = {
      id,
      project: project.id,
      name: input.name ?? `${agent.name}-${id}`,
      mode,
      agent: agent.name,
      restricted: input.restricted ?? project.settings.run.restricted,
      state: 'creating',
      container: `${project.id}-${mode === 'headless' ? 'run' : 'cli'}-${id}`,
      baseBranch: '',
      exitCode: undefined,
      failure: undefined,
      createdAt: clock.now().toISOString(),
      startedAt: undefined,
      finishedAt: undefined,
    };
    store.insert(task, input.prompt, createHash('sha256').update(token.reveal()).digest());
    events.record({
      project: project.id,
      task: id,
      actor: 'client',
      kind: 'task.requested',
      data: { mode, agent: agent.name },
    });
    checkpoint('create:intent-written');
    return {
      task,
      project,
      agent,
      prompt: input.prompt,
      timeoutS: input.timeoutS ?? project.settings.run.timeout,
      token,
    };
  }

  async #launch(plan: Plan, signal?: AbortSignal): Promise<Task> {
    const { engine, events, store, changes, checkpoint, clock } = this.#context;
    const { task, project } = plan;
    const scope = new Scope();
    try {
      // Neither needs the other, so none waits; the first failure undoes what the others did.
      const [baseBranch, networkPath, image, info] = await all([
        this.#openGate(plan, scope, signal),
        this.#raiseShield(plan, scope, signal),
        this.#context.images.ensure(() => undefined, signal).then((images) => images.l1),
        engine.info(signal),
        this.#openServices(plan, scope),
      ]);
      const started = store.update(task.id, { baseBranch, startedAt: clock.now().toISOString() });
      scope.defer(() => engine.remove(task.container));
      await engine.launch(
        runSpec({
          task: started,
          project,
          agent: plan.agent,
          image,
          paths: this.#context.files.pathsOf(task),
          networkPath,
          idMapping: engine.idMapping(CONTAINER_USER),
          engine: info,
          instance: this.#context.instance,
          timeoutS: plan.timeoutS,
        }),
        signal,
      );
      checkpoint('create:container-started');
      const running = store.update(task.id, { state: 'starting' });
      events.record({ project: project.id, task: task.id, actor: 'system', kind: 'task.started' });
      checkpoint('create:committed');
      changes.announce(task.id, running);
      return running;
    } catch (error) {
      await this.#undo(task, scope, error);
      throw error;
    }
  }

  async #openGate({ task, project }: Plan, scope: Scope, signal?: AbortSignal): Promise<string> {
    const { gate, checkpoint } = this.#context;
    const { defaultBranch } = await gate.sync(project, signal);
    scope.defer(async () => void (await gate.closeTask(project, task.id)));
    await gate.openTask(project, task.id, signal);
    checkpoint('create:gate-opened');
    return defaultBranch;
  }

  async #raiseShield({ task }: Plan, scope: Scope, signal?: AbortSignal): Promise<string> {
    const { shield, checkpoint, store } = this.#context;
    scope.defer(() => shield.lower(task.id));
    const { networkPath } = await shield.raise(task.id, store.egressRules(task.id), signal);
    checkpoint('create:shield-raised');
    return networkPath;
  }

  async #openServices(plan: Plan, scope: Scope): Promise<void> {
    const { files, services, engine, checkpoint } = this.#context;
    const { task, project } = plan;
    scope.defer(() => files.remove(task));
    await files.create(task, engine.hostOwner(CONTAINER_USER));
    checkpoint('create:directories-made');
    await files.writeService(task, 'gate-token', plan.token.reveal());
    await files.writeService(task, 'prompt', plan.prompt ?? '');
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
