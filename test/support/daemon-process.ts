import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Paths, resolvePaths } from '../../src/runtime/core/paths.ts';
import { compileProgram } from './compiled-program.ts';
import { daemonPidAt, dialDaemon } from './daemon-pid.ts';

/** How to start the program over the fake runtime; arguments follow. */
export const program = {
  file: process.execPath,
  args: [path.join(await compileProgram(), 'daemon-main.js')],
};

/** Directories of one daemon's own, and the processes started on them; `close` leaves nothing behind. */
export class Site implements AsyncDisposable {
  readonly root: string;
  readonly env: Record<string, string>;
  readonly paths: Paths;
  readonly #children: ChildProcess[] = [];

  private constructor(root: string) {
    this.root = root;
    this.env = {
      PATH: process.env['PATH'] ?? '',
      HOME: root,
      TEROK_CONFIG_DIR: path.join(root, 'c'),
      TEROK_STATE_DIR: path.join(root, 's'),
      TEROK_RUNTIME_DIR: path.join(root, 'r'),
    };
    this.paths = resolvePaths({
      env: this.env,
      home: root,
      uid: process.getuid?.() ?? 0,
      ownsDirectory: () => false,
    });
  }

  static async make(): Promise<Site> {
    return new Site(await mkdtemp(path.join(os.tmpdir(), 'tk-')));
  }

  spawn(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const child = spawn(program.file, [...program.args, ...args], {
      env: { ...this.env, ...env },
      stdio: 'pipe',
    });
    this.#children.push(child);
    return child;
  }

  async run(
    args: readonly string[],
    options: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
  ): Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }> {
    const child = this.spawn(args, options.env);
    const output = { stdout: '', stderr: '' };
    child.stdout?.on('data', (chunk) => (output.stdout += String(chunk)));
    child.stderr?.on('data', (chunk) => (output.stderr += String(chunk)));
    child.stdin?.end(options.input ?? '');
    return { exitCode: await exitOf(child), ...output };
  }

  /** The pid of the daemon that answers, or undefined when none does. */
  async daemonPid(): Promise<number | undefined> {
    return await daemonPidAt(this.paths.daemonSocket);
  }

  async dial(protocol: string): Promise<Socket | undefined> {
    return await dialDaemon(this.paths.daemonSocket, protocol);
  }

  async waitForDaemon(): Promise<number> {
    return await eventually(async () => await this.daemonPid());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    // A daemon may just be starting: it answers nowhere yet, but its environment names the place.
    await eventually(async () => {
      const pids = await this.#processes();
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      return pids.length === 0 ? true : undefined;
    });
    await rm(this.root, { recursive: true, force: true });
  }

  async #processes(): Promise<number[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
    const mark = `TEROK_STATE_DIR=${this.paths.state}\0`;
    const isOurs = async (pid: number): Promise<boolean> => {
      const read = async (name: string) => await readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
      // A daemon's environment is closed to its own user; it runs from a program in our cache.
      return (
        (await read('environ')).includes(mark) || (await read('cmdline')).startsWith(`${this.paths.cache}/`)
      );
    };
    const owned = await Promise.all(pids.map(isOurs));
    return pids.filter((_, index) => owned[index]);
  }
}

export async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  return await new Promise((resolve) => child.once('close', (code) => resolve(code)));
}

export async function eventually<T>(ask: () => Promise<T | undefined>, timeoutMs = 15_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error('it did not happen in time');
    await delay(25);
  }
}
