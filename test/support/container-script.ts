import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const container = path.resolve(import.meta.dirname, '../../resources/container');

export interface ScriptResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ScriptOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** A running program of `resources/container/`, with everything it starts in one process group. */
export class RunningScript {
  readonly process: ChildProcess;
  readonly result: Promise<ScriptResult>;
  #stdout = '';
  #stderr = '';

  constructor(name: string, options: ScriptOptions) {
    this.process = spawn('bash', [path.join(container, name), ...(options.args ?? [])], {
      cwd: options.cwd ?? '/',
      detached: true,
      env: {
        PATH: process.env['PATH'],
        HOME: '/nonexistent',
        LANG: 'C.UTF-8',
        GIT_CONFIG_SYSTEM: path.join(container, 'gitconfig'),
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
        ...options.env,
      },
    });
    this.process.stdout?.on('data', (chunk) => {
      this.#stdout += String(chunk);
    });
    this.process.stderr?.on('data', (chunk) => {
      this.#stderr += String(chunk);
    });
    this.process.stdin?.on('error', () => undefined);
    this.process.stdin?.end(options.input ?? '');
    this.result = this.#finish();
  }

  /** Waits until the script has printed this on standard output. */
  async printed(text: string): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!this.#stdout.includes(text)) {
      if (Date.now() > deadline) throw new Error(`never printed "${text}": ${this.#stdout}${this.#stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Ends the script and all it started; like the end of its container. */
  killAll(): void {
    try {
      process.kill(-(this.process.pid ?? Number.NaN), 'SIGKILL');
    } catch {
      // Nothing of it runs any more.
    }
  }

  async #finish(): Promise<ScriptResult> {
    const closed = once(this.process, 'close');
    const [code, signal] = await once(this.process, 'exit');
    // Bridges go on after the script, as they would until the container ends, and hold its pipes open.
    this.killAll();
    await closed;
    return { code: signal === null ? Number(code) : -1, stdout: this.#stdout, stderr: this.#stderr };
  }
}

export async function runScript(name: string, options: ScriptOptions): Promise<ScriptResult> {
  return await new RunningScript(name, options).result;
}
