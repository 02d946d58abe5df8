import path from 'node:path';
import type { Scope } from '../core/scope.ts';
import type { Secret } from '../core/secret.ts';
import type { ContainerSpec, Progress } from '../engine/contract.ts';
import { projectImages } from '../images/contract.ts';
import { prepareAgentHome } from './agent-home-store.ts';
import { imageOf, sidecarOf } from './agent-image.ts';
import type { Task } from './contract.ts';
import { credentialFilesOf } from './credential-files.ts';
import { assertUsable } from './gpu-access.ts';
import { loadPersonalHome, type PersonalHome } from './personal-home-loader.ts';
import { CONTAINER_USER, lifetimeOf, runFile, runSpec } from './run-spec.ts';
import type { TaskContext } from './task-context.ts';
import type { TaskPlan } from './task-planner.ts';
import { publicUrlOf } from './task-tokens.ts';

/** Of tasks without a time limit of their own. */
const TOKEN_LIFETIME_S = 30 * 24 * 3600;

/** One start of a task, whether its first or another: the intent is stored, nothing else has happened. */
export interface Start {
  /** Which checkpoints it passes; a first start also makes the task's directories. */
  readonly kind: 'create' | 'restart';
  readonly task: Task;
  readonly plan: TaskPlan;
  readonly gateToken: Secret;
}

export interface ReadyToRun {
  readonly spec: ContainerSpec;
  readonly image: string;
  readonly baseBranch: string;
  readonly networkPath: string;
  readonly warnings: readonly string[];
}

/** Opens and writes all that a task's container needs, under the policy of now. The same for every start. */
export class TaskStartUp {
  readonly #context: TaskContext;

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /** What it opens goes into the scope at once; the caller disposes of it when anything fails. */
  async prepare(start: Start, scope: Scope, progress: Progress, signal: AbortSignal): Promise<ReadyToRun> {
    const { engine, gpus, files, instance, vault, checkpoint } = this.#context;
    const { kind, task, plan } = start;
    const { project, settings } = plan;
    // Neither needs the other, so none waits; the first failure undoes what the others did.
    const [gate, networkPath, image, gpu, info, homeWarnings] = await all([
      this.#openGate(start, signal),
      this.#raiseShield(start, scope, signal),
      this.#findImage(plan, progress, signal),
      gpus.grant(settings.gpus === true ? 'all' : project.settings.run.gpus),
      engine.info(signal),
      this.#openServices(start, scope),
    ]);
    assertUsable(gpu, info);
    // Last, for building an image takes minutes, and a real credential lies open no longer than it must.
    await files.writeSecrets(task, plan.secrets);
    scope.defer(async () => vault.revoke(task.id));
    vault.grant(task.id, plan.access.grants, lifetimeOf(task, plan.timeoutS) ?? TOKEN_LIFETIME_S);
    checkpoint(`${kind}:tokens-granted`);
    const spec = runSpec({
      task: { ...task, baseBranch: gate.baseBranch },
      project,
      run: plan.run,
      gpu,
      image,
      paths: files.pathsOf(task),
      networkPath,
      idMapping: engine.idMapping(CONTAINER_USER),
      engine: info,
      instance,
      timeoutS: plan.timeoutS,
      access: plan.access,
    });
    return {
      spec,
      image,
      networkPath,
      baseBranch: gate.baseBranch,
      warnings: [...plan.run.warnings, ...plan.access.warnings, ...gate.warnings, ...homeWarnings],
    };
  }

  async #openGate(
    { kind, task, plan: { project, settings } }: Start,
    signal: AbortSignal,
  ): Promise<{ readonly baseBranch: string; readonly warnings: readonly string[] }> {
    const { gate, checkpoint } = this.#context;
    const { defaultBranch, stale } = await gate.sync(project, signal);
    const baseBranch = task.baseBranch === '' ? (settings.branch ?? defaultBranch) : task.baseBranch;
    if (settings.branch !== undefined && kind === 'create')
      await gate.checkBranch(project, settings.branch, signal);
    await gate.openTask(project, task.id, signal);
    checkpoint(`${kind}:gate-opened`);
    const warnings =
      stale === undefined ? [] : ['Upstream could not be fetched: the task starts from what the gate has.'];
    return { baseBranch, warnings };
  }

  async #raiseShield({ kind, task }: Start, scope: Scope, signal: AbortSignal): Promise<string> {
    const { shield, checkpoint, store } = this.#context;
    scope.defer(() => shield.lower(task.id));
    const { networkPath } = await shield.raise(task.id, store.egressRules(task.id), signal);
    checkpoint(`${kind}:shield-raised`);
    return networkPath;
  }

  /** Fails before the container is made when what is to run is not in it. */
  async #findImage(
    { mode, agent, project, webAgent }: TaskPlan,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<string> {
    const { images } = this.#context;
    const request = projectImages(project);
    switch (mode) {
      case 'dev':
        return await images.ensureDev(request, progress, signal);
      case 'tool':
        return sidecarOf(agent, await images.ensureSidecar(request, progress, signal));
      case 'web': {
        const ready = await images.ensure(request, progress, signal);
        if (webAgent !== undefined) imageOf({ what: 'agent', name: webAgent }, ready, project);
        return imageOf({ what: 'web program', name: agent }, ready, project);
      }
      case 'headless':
      case 'interactive':
        return imageOf(
          { what: 'agent', name: agent },
          await images.ensure(request, progress, signal),
          project,
        );
    }
  }

  /** Returns what the caller should know of it. */
  async #openServices({ kind, task, plan, gateToken }: Start, scope: Scope): Promise<readonly string[]> {
    const { files, services, engine, checkpoint } = this.#context;
    const { run, project, program } = plan;
    const owner = engine.hostOwner(CONTAINER_USER);
    scope.defer(() => files.removeServices(task));
    if (kind === 'create') {
      await files.create(task, owner);
      checkpoint('create:directories-made');
    } else {
      // Whatever a crash left there: old sockets, an old prompt.
      await files.removeServices(task);
      await files.createServices(task);
    }
    const personal = await this.#personalFiles(plan);
    const { agentHome } = files.pathsOf(task);
    const warnings = await prepareAgentHome(agentHome, { ...run, personal: personal.files }, owner);
    await files.writeConfig(task, run.files);
    checkpoint(`${kind}:config-written`);
    // At once: each waits for the disk.
    await all([
      files.writeService(task, 'gate-token', gateToken.reveal()),
      files.writeService(task, 'prompt', run.prompt ?? ''),
      files.writePhantoms(task, run.phantomEnvironment),
      program === undefined
        ? undefined
        : files.writeService(task, 'run', runFile(plan.timeoutS, this.#filledIn(task, plan, program))),
    ]);
    scope.defer(() => services.close(task.id));
    await services.open(task, project, plan.access);
    checkpoint(`${kind}:services-listening`);
    return kind === 'create'
      ? [...personal.problems, ...warnings]
      : await this.#context.credentials.warnings(task);
  }

  /** What a person keeps for an agent: it goes into each new task, and nothing ever comes back. */
  async #personalFiles({ homeOf, run }: TaskPlan): Promise<PersonalHome> {
    if (homeOf === undefined) return { files: [], problems: [] };
    const { agents, personalHomes } = this.#context;
    const { entries } = await agents.roster();
    return await loadPersonalHome(path.join(personalHomes, homeOf), {
      state: run.state,
      refused: credentialFilesOf(entries),
    });
  }

  /** A web program is told the address that people see, which depends on the port that was claimed for it. */
  #filledIn(
    { webPort }: Task,
    { settings, project }: TaskPlan,
    program: readonly string[],
  ): readonly string[] {
    if (webPort === undefined) return program;
    const publicUrl = publicUrlOf({ settings, project, port: webPort });
    return program.map((argument) => argument.replaceAll('{public_url}', publicUrl));
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
