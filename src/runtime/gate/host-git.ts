import { GitPluginError, simpleGit } from 'simple-git';
import type { CommandRunner, StreamingProcess } from '../core/command.ts';
import { CancelledError, CommandError, HostError } from '../core/errors.ts';
import { cleanTail } from '../core/untrusted-text.ts';
import { withoutCredentials } from '../core/upstream-url.ts';
import { type GitEnvironmentOptions, type GitHost, gitEnvironment } from './git-environment.ts';

const NOTHING = Buffer.alloc(0);

/** One git invocation as a value. User input stands behind `--end-of-options`, or inside a ref name. */
export interface GitCall extends GitEnvironmentOptions {
  readonly args: readonly string[];
  readonly input?: string | undefined;
  /** Exit codes that are an answer. Default: 0 alone. */
  readonly okCodes?: readonly number[] | undefined;
  /** Ended when it says nothing for so long. Default 60 s. */
  readonly silenceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface GitOutput {
  readonly stdout: string;
  readonly exitCode: number;
}

/** A failed call, with what a caller needs to tell one reason from another. */
export class GitError extends CommandError {
  readonly exitCode: number;
  /** Standard output, for commands that report there (`push --porcelain`). Untrusted. */
  readonly stdout: string;

  constructor(
    message: string,
    detail: {
      readonly details: string;
      readonly exitCode: number;
      readonly stdout: string;
      readonly hint?: string | undefined;
    },
  ) {
    super(message, detail);
    this.exitCode = detail.exitCode;
    this.stdout = detail.stdout;
  }
}

const DEFAULT_SILENCE_MS = 60_000;

/**
 * simple-git refuses settings that could name programs, because they usually come from a caller. Here they
 * are constants of `git-environment.ts` whose purpose is the opposite: to switch programs off.
 */
const UNSAFE = {
  allowUnsafeAskPass: true,
  allowUnsafeConfigEnvCount: true,
  allowUnsafeConfigPaths: true,
  allowUnsafeCredentialHelper: true,
  allowUnsafeFsMonitor: true,
  allowUnsafeHooksPath: true,
  allowUnsafeProtocolOverride: true,
  allowUnsafeSshCommand: true,
  allowUnsafeTemplateDir: true,
} as const;

/** Runs git on the host. Every process gets the hardened environment and nothing else. */
export class HostGit {
  readonly #host: GitHost;
  readonly #runner: CommandRunner;

  constructor(deps: { readonly host: GitHost; readonly runner: CommandRunner }) {
    this.#host = deps.host;
    this.#runner = deps.runner;
  }

  environment(options: GitEnvironmentOptions): Readonly<Record<string, string>> {
    return gitEnvironment(this.#host, options);
  }

  /** Runs to the end. Throws GitError, HostError (git missing) or CancelledError. */
  async run(call: GitCall): Promise<GitOutput> {
    const env = this.environment(call);
    const okCodes = call.okCodes ?? [0];
    let exitCode = 0;
    let stdout = '';
    let stderr = '';
    const git = simpleGit({
      baseDir: this.#host.home,
      unsafe: UNSAFE,
      allowEnvironment: Object.keys(env),
      // "exit" may come before the last output has been read.
      completion: { onClose: true, onExit: false },
      timeout: { block: call.silenceMs ?? DEFAULT_SILENCE_MS },
      ...(call.signal === undefined ? {} : { abort: call.signal }),
      ...(call.input === undefined ? {} : { input: () => call.input }),
      errors: (error, result) => {
        exitCode = result.exitCode;
        stdout = Buffer.concat(result.stdOut).toString('utf8');
        stderr = Buffer.concat(result.stdErr).toString('utf8');
        // An answer, whatever was written to standard error; unless simple-git itself ended the process.
        if (okCodes.includes(exitCode) && !(error instanceof GitPluginError)) return undefined;
        return error ?? Buffer.from('failed');
      },
    })
      .env({ ...env })
      // simple-git waits 50 ms for output of a command that has said nothing; an empty chunk tells it not to.
      .outputHandler((_command, output) => void setImmediate(() => output.emit('data', NOTHING)));
    try {
      return { stdout: await git.raw([...call.args]), exitCode };
    } catch (cause) {
      throw describeFailure(call, { cause, exitCode, stdout, stderr });
    }
  }

  async text(call: GitCall): Promise<string> {
    return (await this.run(call)).stdout;
  }

  /** Starts git, for bytes rather than text. The caller reads both outputs, and ends it. */
  stream(
    call: Pick<GitCall, 'args' | 'gitDir' | 'config'> & { readonly timeoutMs: number },
  ): StreamingProcess {
    const { args, timeoutMs } = call;
    return this.#runner.stream({ file: 'git', args, env: this.environment(call), timeoutMs });
  }

  /**
   * Feeds standard output to `consume` piece by piece, for output whose size an agent decides. `consume`
   * answers false when it has enough; the process is ended then. Throws GitError or CancelledError.
   */
  async read(
    call: Omit<GitCall, 'silenceMs' | 'okCodes'> & { readonly timeoutMs: number },
    consume: (text: string) => boolean,
  ): Promise<void> {
    if (isAborted(call.signal)) throw new CancelledError('git was cancelled');
    const process = this.#runner.stream({
      file: 'git',
      args: call.args,
      env: this.environment(call),
      timeoutMs: call.timeoutMs,
    });
    const stop = (): void => process.kill();
    call.signal?.addEventListener('abort', stop, { once: true });
    let stderr = '';
    let hasEnough = false;
    let isWhole = false;
    process.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-8192);
    });
    process.stdin.on('error', () => undefined);
    process.stdin.end(call.input ?? '');
    try {
      for await (const text of process.stdout.setEncoding('utf8')) {
        if (!consume(String(text))) {
          hasEnough = true;
          break;
        }
      }
      isWhole = !hasEnough;
    } finally {
      // A process that has said all exits by itself, and its exit code is wanted.
      if (!isWhole) process.kill();
      call.signal?.removeEventListener('abort', stop);
    }
    const { exitCode } = await process.exited;
    if (isAborted(call.signal)) throw new CancelledError('git was cancelled');
    if (hasEnough || exitCode === 0) return;
    throw describeFailure(call, { cause: undefined, exitCode: exitCode ?? -1, stdout: '', stderr });
  }
}

/** Asked anew each time: it changes while one waits. */
const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

function describeFailure(
  call: { readonly args: readonly string[]; readonly signal?: AbortSignal | undefined },
  failure: {
    readonly cause: unknown;
    readonly exitCode: number;
    readonly stdout: string;
    readonly stderr: string;
  },
): Error {
  const verb = `git ${call.args.find((arg) => !arg.startsWith('-')) ?? ''}`.trim();
  if (call.signal?.aborted === true)
    return new CancelledError(`"${verb}" was cancelled`, { cause: failure.cause });
  const reason = failure.cause instanceof Error ? failure.cause.message : '';
  // Refused before git ran: a mistake of ours, not an answer of git.
  if (failure.cause instanceof GitPluginError && failure.cause.plugin === 'unsafe') return failure.cause;
  if (/\bENOENT\b/.test(reason) && failure.exitCode < 0) {
    return new HostError('The program "git" is not installed', {
      hint: 'Run "terok-mcp setup", which installs it or names the package.',
    });
  }
  if (failure.cause instanceof GitPluginError && failure.cause.plugin === 'timeout') {
    return new GitError(`"${verb}" hung and was ended`, { details: reason, exitCode: -1, stdout: '' });
  }
  const output = failure.stderr === '' ? (failure.stdout === '' ? reason : failure.stdout) : failure.stderr;
  const details = cleanTail(withoutCredentials(output));
  const isFull = /no space left on device/i.test(details);
  return new GitError(
    isFull ? `"${verb}" failed: the disk is full` : `"${verb}" failed (exit code ${failure.exitCode})`,
    {
      details,
      exitCode: failure.exitCode,
      stdout: failure.stdout,
      ...(isFull ? { hint: 'Free some space and try again.' } : {}),
    },
  );
}
