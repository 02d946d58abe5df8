import { type ChildProcess, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { asText } from '../../src/runtime/core/command.ts';
import { findProcesses } from '../../src/runtime/core/process-table-loader.ts';
import { podmanBase } from '../../src/runtime/engine/podman/podman-commands.ts';
import { daemonPidAt, endProcess } from './daemon-pid.ts';
import { makeUpstream, type Playground, playground, refsOf } from './git-fixtures.ts';
import { hostEnvironment, runner, type TestHost, testHost } from './host.ts';
import { connectOverStdio, type Era, type TestClient } from './mcp-client.ts';

const main = path.resolve(import.meta.dirname, '../../dist/server/main.js');

/** The shipped program on directories of a test's own, driven as people and clients drive it. */
export class Shipped implements AsyncDisposable {
  readonly host: TestHost;
  readonly ground: Playground;
  readonly upstream: Awaited<ReturnType<typeof makeUpstream>>;
  readonly #clients: TestClient[] = [];

  readonly #own: Readonly<Record<string, string>>;

  private constructor(
    host: TestHost,
    ground: Playground,
    {
      upstream,
      own,
    }: { readonly upstream: Shipped['upstream']; readonly own: Readonly<Record<string, string>> },
  ) {
    this.host = host;
    this.ground = ground;
    this.upstream = upstream;
    this.#own = own;
  }

  /** @param own Variables for every program of it. */
  static async make(own: Readonly<Record<string, string>> = {}): Promise<Shipped> {
    const [host, ground] = await Promise.all([testHost(), playground()]);
    const shipped = new Shipped(host, ground, { upstream: await makeUpstream(ground), own });
    await shipped.run(['project', 'create', 'demo', '--upstream', shipped.upstream.url]);
    return shipped;
  }

  environment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { ...hostEnvironment(), ...this.host.environment, ...this.#own, ...extra };
  }

  /** A command to its end. Throws when it fails, with what it said. */
  async run(
    args: readonly string[],
    extra: Readonly<Record<string, string>> = {},
    input?: string,
  ): Promise<string> {
    return await runner.run({
      file: process.execPath,
      args: [main, ...args],
      env: this.environment(extra),
      ...(input === undefined ? {} : { input }),
      timeoutMs: 120_000,
      parse: asText,
    });
  }

  spawn(args: readonly string[], extra: Readonly<Record<string, string>> = {}): ChildProcess {
    return spawn(process.execPath, [main, ...args], { env: this.environment(extra), stdio: 'pipe' });
  }

  async connect(era: Era = 'auto', extra: Readonly<Record<string, string>> = {}): Promise<TestClient> {
    const client = await connectOverStdio(era, {
      command: process.execPath,
      args: [main, 'stdio'],
      env: this.environment(extra),
    });
    this.#clients.push(client);
    return client;
  }

  async daemonPid(): Promise<number | undefined> {
    return await daemonPidAt(this.host.paths.daemonSocket);
  }

  async killDaemon(): Promise<void> {
    const pid = await this.daemonPid();
    if (pid === undefined) throw new Error('no daemon runs');
    await endProcess(pid, 'SIGKILL', 2_000);
  }

  /** Everything of this instance that could be left behind, by kind. */
  async leftovers(): Promise<
    Record<
      'containers' | 'pins' | 'processes' | 'services' | 'directories' | 'refs' | 'tokens',
      readonly string[]
    >
  > {
    const { paths } = this.host;
    const base = podmanBase(paths.podman);
    const names = await runner.run({
      file: 'podman',
      args: [
        ...base.args,
        'ps',
        '--all',
        '--format={{.Names}}',
        `--filter=label=ai.terok.instance=${paths.instance}`,
      ],
      env: base.env,
      parse: asText,
    });
    const list = (directory: string): Promise<readonly string[]> => readdir(directory).catch(() => []);
    const processes = await findProcesses((argv) =>
      argv.some((argument) => argument.includes(`${paths.networks}/`)),
    );
    const gate = this.upstream.bare.in(path.join(paths.gates, 'demo.git'));
    const refs = await refsOf(gate).catch(() => new Map<string, string>());
    return {
      containers: names.split('\n').filter((name) => name !== ''),
      pins: await list(paths.networks),
      processes: processes.map(({ argv }) => argv.join(' ')),
      services: await list(paths.services),
      directories: await list(path.join(paths.tasks, 'demo')),
      tokens: tokensIn(paths.database),
      refs: [...refs.keys()].filter((ref) =>
        /^refs\/(?:namespaces|terok\/(?:seed|archive))\/|^refs\/heads\/[ghjkmnp-tv-z][0-9]/.test(ref),
      ),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#clients.map((client) => client.close()));
    const client = await this.connect();
    const { object } = await client.call('list_tasks', { limit: 100 });
    const tasks = Array.isArray(object?.['tasks']) ? object['tasks'] : [];
    await Promise.allSettled(tasks.map(({ task }: { task: string }) => client.call('delete_task', { task })));
    await client.close();
    const pid = await this.daemonPid();
    if (pid !== undefined) await endProcess(pid, 'SIGTERM', 10_000);
    await this.ground[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
  }
}

/** Of tasks, by whom they are for: what opens a credential. */
function tokensIn(file: string): readonly string[] {
  const database = new Database(file, { readonly: true });
  try {
    return database.prepare('SELECT task FROM phantom_tokens').pluck().all().map(String);
  } finally {
    database.close();
  }
}

export const nothingLeft = {
  containers: [],
  pins: [],
  processes: [],
  services: [],
  directories: [],
  refs: [],
  tokens: [],
} as const;

/** Asks again until it holds; the last answer decides. */
export async function eventually<T>(
  ask: () => Promise<T>,
  holds: (value: T) => boolean,
  withinMs = 15_000,
): Promise<T> {
  for (const deadline = performance.now() + withinMs; ; ) {
    const value = await ask();
    if (holds(value) || performance.now() > deadline) return value;
    await delay(50);
  }
}
