import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** A program on a terminal of its own, which is typed at and read. script(1) of util-linux makes the terminal. */
export class Terminal implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #exited: Promise<number>;
  #shown = '';

  constructor(command: readonly string[], env: Readonly<Record<string, string>>) {
    const line = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    this.#process = spawn(
      'script',
      ['--quiet', '--return', `--command=stty cols 120 rows 40; exec ${line}`, '/dev/null'],
      {
        env: { TERM: 'dumb', ...env },
        stdio: 'pipe',
      },
    );
    this.#process.stdout?.on('data', (chunk) => {
      this.#shown += String(chunk);
    });
    this.#exited = once(this.#process, 'exit').then(([code]) => Number(code));
  }

  /** Everything shown so far, as text: without colours, modes and carriage returns. */
  get shown(): string {
    return this.#shown.replace(/\u001b\[[0-9;?]*[A-Za-z]|\r/g, '');
  }

  /** The same as it came. */
  get raw(): string {
    return this.#shown;
  }

  /** As a window does that is drawn larger or smaller. */
  async resize({ rows, columns }: { readonly rows: number; readonly columns: number }): Promise<void> {
    const children = await readFile(`/proc/${this.#process.pid}/task/${this.#process.pid}/children`, 'utf8');
    const child = children.trim().split(' ')[0] ?? '';
    for (const size of [
      ['rows', rows],
      ['cols', columns],
    ] as const) {
      await once(spawn('stty', ['-F', `/proc/${child}/fd/0`, ...size.map(String)]), 'exit');
      // conmon (2.1) forgets the second of two sizes that come at once.
      await delay(200);
    }
  }

  type(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Waits until something that matches is shown after `from`; returns where the match ends. */
  async sees(
    pattern: RegExp,
    options: { readonly from?: number; readonly withinMs?: number } = {},
  ): Promise<number> {
    const { from = 0, withinMs = 30_000 } = options;
    for (const deadline = Date.now() + withinMs; Date.now() < deadline; await delay(20)) {
      const match = pattern.exec(this.shown.slice(from));
      if (match !== null) return from + match.index + match[0].length;
    }
    throw new Error(`never showed ${pattern}: ${this.shown}`);
  }

  /** Waits until nothing more is drawn for a while. */
  async settles(quietMs = 600): Promise<void> {
    for (let last = -1; last !== this.#shown.length; await delay(quietMs)) last = this.#shown.length;
  }

  /** Types a command line and gives what is shown up to the next prompt that `done` marks. */
  async run(line: string): Promise<string> {
    const from = this.shown.length;
    const mark = `done-${from}`;
    this.type(`${line}; echo "${mark.slice(0, 4)}""${mark.slice(4)}"\r`);
    const end = await this.sees(new RegExp(mark), { from });
    return this.shown.slice(from, end);
  }

  exited(): Promise<number> {
    return this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.#exited;
  }
}
