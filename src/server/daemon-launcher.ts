import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { Paths } from '../runtime/core/paths.ts';
import { cleanTail } from '../runtime/core/untrusted-text.ts';
import type { Host } from './host.ts';
import { unreadableCopy } from './unreadable-program-store.ts';

const MAX_LOG_BYTES = 10 * 1024 * 1024;
const LAST_LOG_BYTES = 4096;
const COPY_CHECK_MS = 10_000;
const PRLIMIT = '/usr/bin/prlimit';

/**
 * SIGUSR1 makes Node open its debugger to every local program. It tries at this address (of documentation, RFC 5737),
 * where it cannot listen. Node 20 has no switch for it.
 */
const NO_DEBUGGER = '--inspect-port=192.0.2.1:9229';

export interface LaunchedDaemon {
  /** Undefined while it runs. */
  exitCode(): number | undefined;
  /** What it wrote since it was launched, cleaned: its end. */
  lastLogLines(): string;
}

/**
 * Starts `serve` in a session of its own, so that neither the end of the client nor of its terminal reaches
 * it. Its output goes to the log file: what the daemon says before it can log is kept too.
 */
export function launchDaemon(host: Host, paths: Paths): LaunchedDaemon {
  mkdirSync(paths.state, { recursive: true, mode: 0o700 });
  rotate(paths.daemonLog);
  const log = openSync(paths.daemonLog, 'a', 0o600);
  const start = fstatSync(log).size;
  let exitCode: number | undefined;
  try {
    const program = closedProgram(host, paths, log);
    const child = spawn(program.file, [...program.args, ...host.program.args, 'serve'], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...host.env },
      cwd: path.parse(paths.state).root,
    });
    child.on('error', () => {
      exitCode = 1;
    });
    child.on('exit', (code) => {
      exitCode = code ?? 1;
    });
    child.unref();
  } finally {
    closeSync(log);
  }
  return { exitCode: () => exitCode, lastLogLines: () => cleanTail(readFrom(paths.daemonLog, start)) };
}

/**
 * The daemon holds the keys of the vault: no other program of its user may look into its memory. Root may look into
 * any; for it there is at least no core dump, unless somebody raises the soft limit again.
 */
function closedProgram(
  host: Host,
  paths: Paths,
  log: number,
): { readonly file: string; readonly args: readonly string[] } {
  const { file } = host.program;
  if (host.uid === 0) {
    return existsSync(PRLIMIT)
      ? { file: PRLIMIT, args: ['--core=0:', file, NO_DEBUGGER] }
      : { file, args: [NO_DEBUGGER] };
  }
  try {
    const directory = path.join(paths.cache, 'daemon');
    const runs = (copy: string): boolean =>
      spawnSync(copy, ['--eval=0'], { stdio: 'ignore', env: {}, timeout: COPY_CHECK_MS }).status === 0;
    const copy = unreadableCopy({ program: file, directory, uid: host.uid, pid: host.pid, runs });
    return { file: copy, args: [NO_DEBUGGER] };
  } catch (error) {
    const why = error instanceof Error ? cleanTail(error.message) : 'unknown error';
    writeSync(log, `other programs of this user can read the memory of the daemon: ${why}\n`);
    return { file, args: [NO_DEBUGGER] };
  }
}

function rotate(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
}

function readFrom(file: string, start: number): string {
  const descriptor = openSync(file, 'r');
  try {
    const from = Math.max(start, fstatSync(descriptor).size - LAST_LOG_BYTES);
    const buffer = Buffer.alloc(LAST_LOG_BYTES);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, LAST_LOG_BYTES, from)).toString('utf8');
  } finally {
    closeSync(descriptor);
  }
}
