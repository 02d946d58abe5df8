import { spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Paths } from '../runtime/core/paths.ts';
import { cleanTail } from '../runtime/core/untrusted-text.ts';
import type { Host } from './host.ts';

const MAX_LOG_BYTES = 10 * 1024 * 1024;
const LAST_LOG_BYTES = 4096;

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
    const child = spawn(host.program.file, [...host.program.args, 'serve'], {
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
