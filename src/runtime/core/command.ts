import type { Readable, Writable } from 'node:stream';

/**
 * A program invocation as a value: nothing has run yet, so it can be golden-tested.
 * User input stands after `--` or in `--key=value`, never where it could become a flag; no secret and no
 * prompt is ever in `args` (every process of the machine can read them).
 */
export interface Command<T = CommandOutput> {
  readonly file: string;
  readonly args: readonly string[];
  /** Written to standard input, which is closed afterwards. Without it standard input is empty. */
  readonly input?: string | undefined;
  /** The whole environment of the program, on top of the runner's base environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Exit codes that are an answer rather than a failure. Default: 0 alone. */
  readonly okCodes?: readonly number[] | undefined;
  /** Default 30 s. The program gets SIGTERM then, and after `graceMs` SIGKILL. */
  readonly timeoutMs?: number | undefined;
  /** How long the program may take to clean up after SIGTERM, before SIGKILL. Default 2 s. */
  readonly graceMs?: number | undefined;
  readonly parse: (output: CommandOutput) => T;
}

export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with each line of stderr and stdout as it comes, for progress. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** A process that streams: git http-backend, for one. The caller ends it through `kill`. */
export interface StreamingProcess {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the process has ended and its pipes are drained; never rejects. */
  readonly exited: Promise<{ readonly exitCode: number | undefined; readonly signal: string | undefined }>;
  kill(signal?: 'SIGTERM' | 'SIGKILL'): void;
}

export interface DetachedCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** On top of the runner's base environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Written to standard input, whole, before the call returns. Without it standard input is empty. */
  readonly input?: string | undefined;
  readonly logFile: string;
  readonly readyFd?: 3 | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface DetachedProcess {
  readonly pid: number;
}

/** The only way programs start. Implemented by `core/exec.ts`; tests may record or fake it. */
export interface CommandRunner {
  /**
   * Runs to the end. Throws CommandError (exit code, timeout), HostError (program not installed) or
   * CancelledError (signal).
   */
  run<T>(command: Command<T>, options?: RunOptions): Promise<T>;
  stream(command: Omit<Command<unknown>, 'parse' | 'input'>): StreamingProcess;
  /**
   * Starts a process that outlives this one, in its own session, output to a file. With `readyFd`, waits until
   * the process has written to that descriptor (3); throws CommandError when it ends or stays silent instead.
   */
  detach(command: DetachedCommand): Promise<DetachedProcess>;
}

export const asText = (output: CommandOutput): string => output.stdout;
export const asNothing = (): void => undefined;
export const asExitCode = (output: CommandOutput): number => output.exitCode;
