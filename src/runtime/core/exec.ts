import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ExecaError, execa } from 'execa';
import {
  asNothing,
  type Command,
  type CommandRunner,
  type DetachedCommand,
  type DetachedProcess,
  type RunOptions,
  type StreamingProcess,
} from './command.ts';
import { CancelledError, CommandError, HostError } from './errors.ts';
import { cleanTail } from './untrusted-text.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const SLOW_HINT =
  'The host may be overloaded, or the program hangs. Try again; "terok-mcp doctor" looks for known causes.';
const FAILED_HINT = 'What it said stands in the details; "terok-mcp doctor" looks for known causes.';
const KILL_DELAY_MS = 2_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Starts programs on the host: the only module that does. Programs get the environment given here and
 * nothing of ours (no LD_PRELOAD, no GIT_*, no NODE_OPTIONS), and PATH includes the sbin directories, where
 * nft lives but which ordinary users lack.
 */
export class HostCommandRunner implements CommandRunner {
  readonly #baseEnv: Readonly<Record<string, string>>;

  constructor(deps: { readonly baseEnv: Readonly<Record<string, string>> }) {
    this.#baseEnv = deps.baseEnv;
  }

  async run<T>(command: Command<T>, options: RunOptions = {}): Promise<T> {
    const okCodes = command.okCodes ?? [0];
    const timeoutMs = command.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const graceMs = command.graceMs ?? KILL_DELAY_MS;
    try {
      const subprocess = execa(command.file, command.args, {
        ...this.#options(command),
        ...(command.input === undefined ? { stdin: 'ignore' } : { input: command.input }),
        timeout: timeoutMs,
        forceKillAfterDelay: graceMs,
        maxBuffer: MAX_OUTPUT_BYTES,
        all: options.onLine !== undefined,
        stripFinalNewline: false,
        ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
      });
      if (options.onLine !== undefined)
        void forwardLines(subprocess.iterable({ from: 'all' }), options.onLine);
      const release = abandonPipes(subprocess, { timeoutMs, graceMs }, options.signal);
      const { stdout, stderr, exitCode } = await subprocess.finally(release);
      return command.parse({ stdout, stderr, exitCode: exitCode ?? 0 });
    } catch (error) {
      if (!(error instanceof ExecaError)) throw error;
      const stdout = String(error.stdout ?? '');
      const stderr = String(error.stderr ?? '');
      if (
        error.exitCode !== undefined &&
        !error.timedOut &&
        !error.isCanceled &&
        okCodes.includes(error.exitCode)
      ) {
        return command.parse({ stdout, stderr, exitCode: error.exitCode });
      }
      throw describeFailure(command, error, stderr === '' ? stdout : stderr);
    }
  }

  stream(command: Omit<Command<unknown>, 'parse' | 'input'>): StreamingProcess {
    const subprocess = execa(command.file, command.args, {
      ...this.#options(command),
      stdin: 'pipe',
      buffer: false,
      reject: false,
      forceKillAfterDelay: 2_000,
      ...(command.timeoutMs === undefined ? {} : { timeout: command.timeoutMs }),
    });
    return {
      pid: subprocess.pid ?? -1,
      stdin: subprocess.stdin,
      stdout: subprocess.stdout,
      stderr: subprocess.stderr,
      exited: subprocess.then(
        (result) => ({ exitCode: result.exitCode, signal: result.signal }),
        () => ({ exitCode: undefined, signal: undefined }),
      ),
      kill: (signal = 'SIGTERM') => void subprocess.kill(signal),
    };
  }

  /**
   * Runs a program on the terminal of this process, to its end. Gives its exit code, or as a shell does 128 and the
   * signal that ended it. Throws HostError when it cannot be started.
   */
  async attach(command: Pick<Command<unknown>, 'file' | 'args' | 'env' | 'cwd'>): Promise<number> {
    try {
      await execa(command.file, command.args, { ...this.#options(command), stdio: 'inherit' });
      return 0;
    } catch (error) {
      if (!(error instanceof ExecaError)) throw error;
      if (error.exitCode !== undefined) return error.exitCode;
      if (error.signal !== undefined) return 128 + constants.signals[error.signal];
      throw describeFailure({ ...command, parse: asNothing }, error, '');
    }
  }

  async detach(command: DetachedCommand): Promise<DetachedProcess> {
    const log = openSync(command.logFile, 'a', 0o600);
    try {
      const { env, cwd } = this.#options({ env: command.env });
      // Not execa: it ends its children with the parent and takes no arbitrary file descriptor.
      const child = spawn(command.file, command.args, {
        env,
        cwd,
        detached: true,
        stdio: [
          command.input === undefined ? 'ignore' : 'pipe',
          log,
          log,
          ...(command.readyFd === undefined ? [] : ['pipe' as const]),
        ],
      });
      await once(child, 'spawn').catch((cause: unknown) => {
        throw new HostError(`The program "${command.file}" cannot be started`, {
          hint: 'Run "terok-mcp setup", which installs it or names the package to install.',
          cause,
        });
      });
      await handOver(child, command);
      const ready = child.stdio[3];
      if (ready instanceof Readable) await readiness(child, ready, command);
      child.unref();
      return { pid: child.pid ?? -1 };
    } finally {
      closeSync(log);
    }
  }

  #options(command: {
    readonly env?: Readonly<Record<string, string>> | undefined;
    readonly cwd?: string | undefined;
  }) {
    return {
      env: { ...this.#baseEnv, ...command.env },
      extendEnv: false,
      cwd: command.cwd ?? '/',
      windowsHide: true,
    };
  }
}

async function handOver({ stdin }: ChildProcess, { file, input }: DetachedCommand): Promise<void> {
  if (input === undefined || stdin === null) return;
  try {
    await pipeline(Readable.from([input]), stdin);
  } catch (cause) {
    throw new CommandError(`"${file}" ended before it had read its input`, { cause });
  }
}

async function readiness(child: ChildProcess, ready: Readable, command: DetachedCommand): Promise<void> {
  const timeoutMs = command.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  try {
    const [first] = await Promise.race([
      once(ready, 'data', { signal: AbortSignal.timeout(timeoutMs) }),
      once(ready, 'end').then(() => []),
    ]);
    if (first === undefined) throw new CommandError(`"${command.file}" ended before it was ready`);
  } catch (error) {
    child.kill('SIGKILL');
    if (error instanceof CommandError) throw error;
    throw new CommandError(`"${command.file}" was not ready in ${timeoutMs} ms`, { cause: error });
  } finally {
    ready.destroy();
  }
}

/**
 * A child of the killed program may hold its pipes open for ever. Once the program has had its time to die,
 * the pipes are closed from our side, so that a deadline is a deadline. Returns the way to call this off.
 */
function abandonPipes(
  subprocess: {
    readonly stdout: Readable | null;
    readonly stderr: Readable | null;
    readonly all?: Readable | undefined;
  },
  { timeoutMs, graceMs }: { readonly timeoutMs: number; readonly graceMs: number },
  signal: AbortSignal | undefined,
): () => void {
  const abandon = (): void => {
    for (const pipe of [subprocess.stdout, subprocess.stderr, subprocess.all]) pipe?.destroy();
  };
  let timer = setTimeout(abandon, timeoutMs + graceMs + 100);
  const onAbort = (): void => {
    clearTimeout(timer);
    timer = setTimeout(abandon, graceMs + 100);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
}

async function forwardLines(lines: AsyncIterable<unknown>, onLine: (line: string) => void): Promise<void> {
  try {
    for await (const line of lines) onLine(String(line));
  } catch {
    // The awaiting caller sees the same failure with its cause.
  }
}

function describeFailure(command: Command<unknown>, error: ExecaError, output: string): Error {
  const verb = [command.file, ...command.args.filter((arg) => !arg.startsWith('-')).slice(0, 2)].join(' ');
  const details = cleanTail(output);
  if (error.isCanceled) return new CancelledError(`${command.file} was cancelled`, { cause: error });
  if (error.code === 'ENOENT') {
    return new HostError(`The program "${command.file}" is not installed`, {
      hint: 'Run "terok-mcp setup", which installs it or names the package to install.',
    });
  }
  if (error.timedOut) {
    return new CommandError(`"${verb}" did not finish in ${command.timeoutMs ?? DEFAULT_TIMEOUT_MS} ms`, {
      hint: SLOW_HINT,
      details,
    });
  }
  if (error.code === 'ENOSPC' || /no space left on device/i.test(details)) {
    return new CommandError(`"${verb}" failed: the disk is full`, {
      hint: 'Free some space and try again.',
      details,
    });
  }
  const how =
    error.exitCode === undefined
      ? (error.signal ?? error.code ?? 'no exit code')
      : `exit code ${error.exitCode}`;
  return new CommandError(`"${verb}" failed (${how})`, { hint: FAILED_HINT, details });
}
