import { lstatSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import type { Host } from './host.ts';

/** Reads from a process what the program needs of it. `entry` is the file that was started. */
export function loadHost(self: NodeJS.Process, entry: string): Host {
  const uid = self.getuid?.() ?? 0;
  return {
    argv: self.argv.slice(2),
    env: self.env,
    home: self.env['HOME'] || homedir(),
    get cwd() {
      return self.cwd();
    },
    uid,
    userName: userName(uid),
    pid: self.pid,
    get stdin() {
      return self.stdin;
    },
    get stdout() {
      return self.stdout;
    },
    get stderr() {
      return self.stderr;
    },
    get isInteractive() {
      return self.stdin.isTTY === true && self.stdout.isTTY === true;
    },
    program: { file: self.execPath, args: [...self.execArgv, entry] },
    ownsDirectory: (directory) => {
      // Not followed: whoever may place a link decides where it leads.
      const info = lstatSync(directory, { throwIfNoEntry: false });
      return info?.isDirectory() === true && info.uid === uid;
    },
    onSignal: (handler) => {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) self.on(signal, handler);
    },
    onFatal: (handler) => {
      self.on('uncaughtException', handler);
      self.on('unhandledRejection', handler);
    },
    exit: (code) => self.exit(code),
    crash: () => {
      self.kill(self.pid, 'SIGKILL');
    },
  };
}

/** A user id without an entry in the user database is nothing unusual inside containers. */
function userName(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${uid}`;
  }
}
