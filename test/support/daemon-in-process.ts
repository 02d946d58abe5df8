import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { systemClock } from '../../src/runtime/core/clock.ts';
import { type Logger, silentLogger } from '../../src/runtime/core/log.ts';
import { runCommandLine } from '../../src/server/cli/command-line.ts';
import { Daemon } from '../../src/server/daemon.ts';
import type { Host } from '../../src/server/host.ts';
import { loadHost } from '../../src/server/host-loader.ts';
import { pathsOf } from '../../src/server/host-paths.ts';
import { FakeRuntime } from './fake-runtime.ts';

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  /** So far. */
  readonly said: { readonly stdout: string; readonly stderr: string };
  readonly ended: Promise<Ended>;
  /** Ctrl-C. */
  interrupt(): void;
}

/** The command line against a real daemon on a real socket, in this process and over a fake runtime. */
export class DaemonInProcess implements AsyncDisposable {
  readonly runtime = new FakeRuntime();
  readonly host: Host;
  readonly #directory: string;
  #daemon: Daemon | undefined;

  private constructor(directory: string) {
    this.#directory = directory;
    this.host = {
      ...loadHost(process, '/main.js'),
      cwd: path.join(directory, 'cwd'),
      env: {
        TEROK_CONFIG_DIR: path.join(directory, 'c'),
        TEROK_STATE_DIR: path.join(directory, 's'),
        TEROK_RUNTIME_DIR: path.join(directory, 'r'),
      },
    };
  }

  static async start(logger: Logger = silentLogger): Promise<DaemonInProcess> {
    const directory = await mkdtemp('/tmp/tc-');
    await mkdir(path.join(directory, 'cwd'));
    const started = new DaemonInProcess(directory);
    await started.#startDaemon(logger);
    return started;
  }

  async #startDaemon(logger: Logger): Promise<void> {
    const { host, runtime } = this;
    this.#daemon = await Daemon.start({
      paths: pathsOf(host),
      uid: host.uid,
      pid: host.pid,
      createRuntime: async () => runtime,
      logger,
      clock: systemClock,
      idleMs: 600_000,
    });
  }

  /** Ends every connection, and lets another daemon take the place of this one; tasks go on. */
  async replaceDaemon(): Promise<void> {
    this.#daemon?.stop('replaced');
    await this.#daemon?.finished;
    await this.#startDaemon(silentLogger);
  }

  begin(argv: readonly string[], stdin: Readable = Readable.from([])): Started {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const said = { stdout: '', stderr: '' };
    stdout.on('data', (chunk) => (said.stdout += String(chunk)));
    stderr.on('data', (chunk) => (said.stderr += String(chunk)));
    const handlers: Array<(signal: string) => void> = [];
    const exitCode = runCommandLine({
      ...this.host,
      argv,
      stdin,
      stdout,
      stderr,
      onSignal: (handler) => void handlers.push(handler),
    });
    return {
      said,
      interrupt: () => handlers.map((handler) => handler('SIGINT')),
      ended: exitCode.then((code) => ({ exitCode: code, ...said })),
    };
  }

  async run(...argv: string[]): Promise<Ended> {
    return await this.begin(argv).ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#daemon?.stop('the test is over');
    await this.#daemon?.finished;
    await rm(this.#directory, { recursive: true, force: true });
  }
}
