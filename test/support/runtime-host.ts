import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { noCheckpoint } from '../../src/runtime/core/checkpoint.ts';
import { systemClock } from '../../src/runtime/core/clock.ts';
import { asText } from '../../src/runtime/core/command.ts';
import { createLogger, silentLogger } from '../../src/runtime/core/log.ts';
import { createRuntime } from '../../src/runtime/create-runtime.ts';
import { podmanBase } from '../../src/runtime/engine/podman/podman-commands.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { FollowUpInput, StartedTask, Task } from '../../src/runtime/tasks/contract.ts';
import { hasEnded } from '../../src/runtime/tasks/state.ts';
import { makeUpstream, type Playground, playground } from './git-fixtures.ts';
import { hostEnvironment, podmanEngine, resourcesDir, runner, type TestHost, testHost, uid } from './host.ts';

/** A whole terok on real Podman, with one project `demo` whose upstream is a repository of the test. */
export class Terok implements AsyncDisposable {
  readonly host: TestHost;
  readonly ground: Playground;
  readonly upstream: Awaited<ReturnType<typeof makeUpstream>>;
  runtime: Runtime;
  readonly #options: StartOptions;

  private constructor(made: Pick<Terok, 'host' | 'ground' | 'upstream' | 'runtime'>, options: StartOptions) {
    this.host = made.host;
    this.ground = made.ground;
    this.upstream = made.upstream;
    this.runtime = made.runtime;
    this.#options = options;
  }

  static async make(options: StartOptions = {}): Promise<Terok> {
    const host = await testHost();
    await mkdir(host.paths.state, { recursive: true });
    const ground = await playground();
    const upstream = await makeUpstream(ground);
    const runtime = await startRuntime(host, options);
    await runtime.projects.create({ id: 'demo', upstreamUrl: upstream.url });
    return new Terok({ host, ground, upstream, runtime }, options);
  }

  /** Runs steps headless to the end. */
  async runSteps(steps: readonly string[], input: { readonly restricted?: boolean } = {}): Promise<Task> {
    const task = await this.runtime.tasks.create({ project: 'demo', prompt: steps.join('\n'), ...input });
    return await this.ended(task.id);
  }

  /** Gives an ended task another prompt, and waits for its end. */
  async followUp(task: string, prompt: string, input: Partial<FollowUpInput> = {}): Promise<StartedTask> {
    const { warnings, webUrl } = await this.runtime.tasks.followUp({ ...input, task, prompt });
    return { ...(await this.ended(task)), warnings, webUrl };
  }

  async ended(task: string, waitMs = 60_000): Promise<Task> {
    return await this.runtime.tasks.waitFor(task, { until: hasEnded, waitMs });
  }

  async ready(task: string): Promise<Task> {
    return await this.runtime.tasks.waitFor(task, {
      until: ({ state }) => state !== 'starting' && state !== 'restarting',
      waitMs: 30_000,
    });
  }

  async output(task: string): Promise<string> {
    return (await this.runtime.tasks.logs({ task, tail: 500, maxChars: 100_000 })).lines.join('\n');
  }

  /** Ends this runtime as a clean exit would, and starts the next on the same state. */
  async restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.runtime[Symbol.asyncDispose]();
    this.runtime = await startRuntime(this.host, { ...this.#options, env });
  }

  /** A program of the host, outside of every container. */
  async hostProgram(file: string, ...args: readonly string[]): Promise<string> {
    return await runner.run({ file, args, timeoutMs: 60_000, parse: asText });
  }

  async podman(...args: readonly string[]): Promise<string> {
    const base = podmanBase(this.host.paths.podman);
    return await runner.run({
      file: 'podman',
      args: [...base.args, ...args],
      env: base.env,
      timeoutMs: 60_000,
      parse: asText,
    });
  }

  /**
   * A program inside a task's container, entered from the host with every privilege a person has over it: what
   * holds against this holds against the container. (`podman exec` cannot enter a foreign network namespace
   * with runc 1.1.) `asAgent: false` stays root with all capabilities of the container's user namespace.
   */
  async exec(task: Task, script: string, options: { readonly asAgent?: boolean } = {}) {
    const [container] = JSON.parse(await this.podman('inspect', task.container));
    const environment: readonly string[] = container.Config.Env;
    const asAgent = options.asAgent ?? true;
    const id = asAgent ? '1000' : '0';
    const [file = '', ...args] = [
      ...(await this.#namespacePrefix()),
      'nsenter',
      `--target=${container.State.Pid}`,
      ...['--mount', '--uts', '--ipc', '--net', '--pid', '--user'],
      `--setuid=${id}`,
      `--setgid=${id}`,
      ...(asAgent ? ['setpriv', '--no-new-privs'] : []),
      'env',
      '-i',
      ...environment,
      'bash',
      '-c',
      `cd /workspace; ${script}`,
    ];
    return await runner.run({
      file,
      args,
      okCodes: Array.from({ length: 256 }, (_, code) => code),
      timeoutMs: 60_000,
      parse: (output) => output,
    });
  }

  #namespacePrefix(): Promise<readonly string[]> {
    return podmanEngine(this.host.paths).hostNamespacePrefix();
  }

  async containers(): Promise<readonly string[]> {
    const names = await this.podman(
      'ps',
      '--all',
      '--format={{.Names}}',
      `--filter=label=ai.terok.instance=${this.host.paths.instance}`,
    );
    return names.split('\n').filter((name) => name !== '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const task of this.runtime.tasks.list())
      await this.runtime.tasks.delete(task.id).catch(() => undefined);
    await this.runtime[Symbol.asyncDispose]();
    await this.ground[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
  }
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** PEM of authorities that upstreams of credentials may be vouched for by. */
  readonly extraCa?: readonly string[];
}

const main = path.resolve(import.meta.dirname, '../../dist/server/main.js');

export async function startRuntime(host: TestHost, options: StartOptions = {}): Promise<Runtime> {
  return await createRuntime({
    paths: host.paths,
    uid,
    env: { ...hostEnvironment(), ...options.env },
    packageEnv: {},
    resourcesDir,
    logger:
      process.env['TEROK_TEST_LOG'] === undefined
        ? silentLogger
        : createLogger({ level: 'debug', fileDescriptor: 2 }),
    clock: systemClock,
    checkpoint: noCheckpoint,
    vault: { program: { file: process.execPath, args: [main] }, extraCa: options.extraCa },
  });
}
