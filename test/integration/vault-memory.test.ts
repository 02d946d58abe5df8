import { execFile } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive } from '../support/daemon-pid.ts';
import { eventually, Site } from '../support/daemon-process.ts';
import { isRoot, uid } from '../support/host.ts';

const SENTINEL = `sentinel-${'memory'}-of-the-daemon-4711`;
const run = promisify(execFile);

let site: Site;
beforeEach(async () => {
  site = await Site.make();
});
afterEach(() => site.close());

/** As people start it: a front end does. */
async function startDaemon(): Promise<number> {
  site.spawn(['stdio'], { SENTINEL });
  return await site.waitForDaemon();
}

/** The guard off: the same program by itself. */
async function startPlain(): Promise<number> {
  site.spawn(['serve'], { SENTINEL });
  return await site.waitForDaemon();
}

/** What a program of the same user finds in another's memory, as a debugger reads it. */
async function memoryHolds(pid: number): Promise<boolean | string> {
  try {
    const maps = await readFile(`/proc/${pid}/maps`, 'latin1');
    const [from = 0, to = 0] = (/^([0-9a-f]+)-([0-9a-f]+) .*\[stack\]$/m.exec(maps) ?? [])
      .slice(1)
      .map((digits) => Number.parseInt(digits, 16));
    const memory = openSync(`/proc/${pid}/mem`, 'r');
    try {
      const bytes = Buffer.alloc(to - from);
      readSync(memory, bytes, 0, bytes.length, from);
      return bytes.includes(SENTINEL);
    } finally {
      closeSync(memory);
    }
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  }
}

async function debuggerOf(pid: number): Promise<boolean> {
  process.kill(pid, 'SIGUSR1');
  await delay(500);
  return await new Promise((resolve) => {
    const socket = connect(9229, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Whether the kernel dumps the core of a program that is started so, when nothing else limits it. */
async function dumpsCore(...command: readonly string[]): Promise<boolean> {
  const directory = await mkdtemp('/tmp/core-');
  const crash = `process.kill(process.pid, 'SIGSEGV'); setTimeout(() => {}, 1000)`;
  const script = 'ulimit -c unlimited; cd "$1"; shift; "$@"; true';
  try {
    const { stderr } = await run('bash', ['-c', script, 'bash', directory, ...command, '-e', crash]);
    return stderr.includes('core dumped') || (await readdir(directory)).length > 0;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const argumentsOf = async (pid: number): Promise<readonly string[]> =>
  (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);

describe('the memory of the daemon', () => {
  it('V14: has no debugger for other programs of this user, where a plain start has one', async () => {
    const pid = await startDaemon();
    expect(await debuggerOf(pid)).toBe(false);
    expect(await site.daemonPid()).toBe(pid);
    await site.close();
    site = await Site.make();
    expect(await debuggerOf(await startPlain())).toBe(true);
  });

  it('V14: goes into no core dump, where a plain start dumps one', async () => {
    const [program = '', ...args] = await argumentsOf(await startDaemon());
    const { stdout } = await run('bash', ['-c', 'ulimit -Hc']);
    if (isRoot) {
      const limits = await readFile(`/proc/${await site.daemonPid()}/limits`, 'utf8');
      expect(limits).toMatch(/^Max core file size +0 /m);
      expect(await dumpsCore('/usr/bin/prlimit', '--core=0:', process.execPath)).toBe(false);
    } else {
      expect(program).toBe(path.join(site.paths.cache, 'daemon/node'));
      expect(args).toContain('serve');
      expect(await dumpsCore(program)).toBe(false);
    }
    // A host that lets nobody dump proves nothing by a plain program.
    expect(await dumpsCore(process.execPath)).toBe(stdout.trim() !== '0');
  });

  it('V14: is closed to other programs of the same user; root alone may look, as into any', async () => {
    const pid = await startDaemon();
    if (isRoot) {
      expect(await memoryHolds(pid)).toBe(true);
      return;
    }
    expect(await memoryHolds(pid)).toBe('EACCES');
    for (const name of ['environ', 'auxv', 'mem', 'maps', 'smaps', 'syscall', 'stack', 'fd/0']) {
      await expect(readFile(`/proc/${pid}/${name}`), name).rejects.toMatchObject({ code: /EACCES|EPERM/ });
    }
    const traced = await run('gdb', ['--batch', '-p', String(pid), '-ex', 'info proc mappings']).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: unknown) => String(error),
    );
    expect(traced).toMatch(/not permitted|ENOENT/);
    expect(await site.daemonPid()).toBe(pid);
    await site.close();
    site = await Site.make();
    expect(await memoryHolds(await startPlain())).toBe(true);
  });

  it('V14: stays closed after a release of Node replaces the program, and after a copy that was cut off', async () => {
    if (isRoot) {
      expect((await argumentsOf(await startDaemon()))[0]).toBe(process.execPath);
      return;
    }
    const copy = path.join(site.paths.cache, 'daemon/node');
    const first = await startDaemon();
    const made = await stat(copy);
    expect([made.mode & 0o777, made.uid, (await stat(path.dirname(copy))).mode & 0o777]).toEqual([
      0o111,
      uid,
      0o700,
    ]);
    const again = async (): Promise<number> => {
      const before = await site.daemonPid();
      if (before !== undefined) process.kill(before, 'SIGKILL');
      await eventually(async () => (before !== undefined && isAlive(before) ? undefined : true));
      return await startDaemon();
    };
    expect(await again()).not.toBe(first);
    expect((await stat(copy)).ino).toBe(made.ino);
    for (const spoil of [
      () => utimes(copy, 1, 1),
      () => run('chmod', ['0755', copy]),
      () => run('chmod', ['0700', copy]).then(() => truncate(copy, 1000)),
      () => rm(copy).then(() => writeFile(`${copy}.1`, 'half of a')),
    ]) {
      process.kill((await site.daemonPid()) ?? 0, 'SIGKILL');
      await delay(100);
      await spoil();
      const pid = await again();
      expect(await memoryHolds(pid)).toBe('EACCES');
      expect((await stat(copy)).mode & 0o777).toBe(0o111);
    }
  });
});
