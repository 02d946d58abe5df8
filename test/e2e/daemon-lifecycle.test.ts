import { chown, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireProcessLock } from '../../src/runtime/core/database.ts';
import { firstLine, isAlive } from '../support/daemon-pid.ts';
import { eventually, exitOf, program, Site } from '../support/daemon-process.ts';
import { connectOverStdio, type TestClient } from '../support/mcp-client.ts';

let site: Site;

beforeEach(async () => {
  site = await Site.make();
});
afterEach(async () => {
  await site.close();
});

async function connect(): Promise<TestClient> {
  return await connectOverStdio('auto', {
    command: program.file,
    args: [...program.args, 'stdio'],
    env: site.env,
  });
}

test('a front end starts the daemon, its socket is for the owner only, and its end leaves daemon and task', async () => {
  const client = await connect();
  const { object } = await client.call('run_headless', { project: 'demo', prompt: 'sleep 5' });
  const pid = await site.waitForDaemon();
  expect((await stat(site.paths.daemonSocket)).mode & 0o777).toBe(0o600);
  expect((await stat(site.paths.runtime)).mode & 0o777).toBe(0o700);
  await client.close();
  const next = await connect();
  expect(await site.waitForDaemon()).toBe(pid);
  const status = await next.call('task_status', { task: object?.['task'] });
  expect(status.object).toMatchObject({ state: 'running' });
  await next.close();
});

test('a killed front end ends no task', async () => {
  const front = site.spawn(['stdio']);
  const pid = await site.waitForDaemon();
  front.stdin?.write(
    `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } })}\n`,
  );
  front.stdin?.write(
    `${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'run_headless', arguments: { project: 'demo', prompt: 'sleep 1\nexit 4', wait_s: 50 } } })}\n`,
  );
  const list = async () => JSON.parse((await site.run(['task', 'list', '--json'])).stdout);
  await eventually(async () => ((await list()).length === 1 ? true : undefined));
  front.kill('SIGKILL');
  await exitOf(front);
  await eventually(async () => ((await list())[0].exitCode === 4 ? true : undefined));
  expect(await site.daemonPid()).toBe(pid);
});

test('the end of standard input ends the front end within a second', async () => {
  const client = await connect();
  await client.close();
  const front = site.spawn(['stdio']);
  await delay(1500);
  const before = Date.now();
  front.stdin?.end();
  expect(await exitOf(front)).toBe(0);
  expect(Date.now() - before).toBeLessThan(3000);
  expect(await site.daemonPid()).toBeDefined();
});

test('SIGTERM ends the front end within a second', async () => {
  const front = site.spawn(['stdio']);
  await site.waitForDaemon();
  await delay(300);
  const before = Date.now();
  front.kill('SIGTERM');
  expect(await exitOf(front)).toBe(0);
  expect(Date.now() - before).toBeLessThan(3000);
});

test('when the daemon is killed the front end says so and ends with 1 at once, and the next one starts another daemon', async () => {
  const front = site.spawn(['stdio']);
  let stderr = '';
  front.stderr?.on('data', (chunk) => (stderr += String(chunk)));
  const first = await site.waitForDaemon();
  await delay(300);
  process.kill(first, 'SIGKILL');
  const before = Date.now();
  expect(await exitOf(front)).toBe(1);
  expect(Date.now() - before).toBeLessThan(3000);
  expect(stderr).toContain('the daemon went away');
  const client = await connect();
  expect((await client.call('doctor')).isError).toBe(false);
  expect(await site.waitForDaemon()).not.toBe(first);
  await client.close();
});

test('of two daemons started at once one stays and the other leaves quietly', async () => {
  const both = [site.spawn(['serve']), site.spawn(['serve'])];
  const loser = await Promise.race(both.map(async (child) => ({ child, exitCode: await exitOf(child) })));
  expect(loser.exitCode).toBe(0);
  const winner = both.find((child) => child !== loser.child);
  expect(await site.waitForDaemon()).toBe(winner?.pid);
});

test('five front ends at once share one daemon', async () => {
  const clients = await Promise.all(Array.from({ length: 5 }, connect));
  const results = await Promise.all(
    clients.map((client) => client.call('run_headless', { project: 'demo', prompt: 'sleep 1' })),
  );
  expect(results.every(({ isError }) => !isError)).toBe(true);
  expect((await clients[0]?.call('list_tasks'))?.object).toMatchObject({ total: 5 });
  await Promise.all(clients.map((client) => client.close()));
});

test('a socket left by a daemon that died is replaced', async () => {
  const first = site.spawn(['serve']);
  await site.waitForDaemon();
  first.kill('SIGKILL');
  await exitOf(first);
  expect((await stat(site.paths.daemonSocket)).isSocket()).toBe(true);
  site.spawn(['serve']);
  expect(await site.waitForDaemon()).not.toBe(first.pid);
});

test('who holds the state directory is written beside the lock, for its owner only, and taken back at the end', async () => {
  const daemon = site.spawn(['serve']);
  const pid = await site.waitForDaemon();
  const file = path.join(site.paths.state, 'daemon.holder.json');
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ pid, socket: site.paths.daemonSocket });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  daemon.kill('SIGTERM');
  await exitOf(daemon);
  await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a front end that comes while the daemon is leaving gets the next daemon', async () => {
  await mkdir(site.paths.state, { mode: 0o700 });
  const leaving = acquireProcessLock(path.join(site.paths.state, 'daemon.lock'));
  const list = site.run(['task', 'list']);
  await delay(2_000);
  expect(await site.daemonPid()).toBeUndefined();
  leaving.release();
  expect(await list).toMatchObject({ exitCode: 0, stdout: 'No tasks.\n' });
  expect(await site.daemonPid()).toBeDefined();
});

test('a daemon that listens in another runtime directory is named at once, with how to reach or stop it', async () => {
  const elsewhere = { TEROK_RUNTIME_DIR: path.join(site.root, 'r2') };
  site.spawn(['serve'], elsewhere);
  await eventually(async () => await stat(path.join(site.root, 'r2/daemon.sock')).catch(() => undefined));
  const before = Date.now();
  const { exitCode, stderr } = await site.run(['task', 'list']);
  expect(exitCode).toBe(1);
  expect(Date.now() - before).toBeLessThan(8_000);
  expect(stderr).toContain(`listens at ${path.join(site.root, 'r2/daemon.sock')}`);
  expect(stderr).toContain(`"TEROK_RUNTIME_DIR=${path.join(site.root, 'r2')} terok-mcp daemon stop"`);
  expect((await site.run(['daemon', 'stop'], { env: elsewhere })).stdout).toBe('Stopped.\n');
  expect((await site.run(['task', 'list'])).exitCode).toBe(0);
});

test('a client served in-process is named as who holds the state, once waiting was in vain', async () => {
  const holder = site.spawn(['stdio', '--in-process']);
  await eventually(
    async () => await stat(path.join(site.paths.state, 'daemon.holder.json')).catch(() => undefined),
  );
  const { exitCode, stderr } = await site.run(['task', 'list']);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(
    `Process ${holder.pid} ("terok-mcp stdio --in-process") holds ${site.paths.state}`,
  );
});

async function failingFrontEnd(env: Readonly<Record<string, string>> = {}): Promise<string> {
  const front = site.spawn(['stdio'], env);
  let stderr = '';
  front.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
  });
  expect(await exitOf(front)).toBe(1);
  return stderr;
}

test('a file where the socket belongs is left alone, and the front end says what is wrong', async () => {
  await mkdir(site.paths.runtime, { mode: 0o700 });
  await writeFile(site.paths.daemonSocket, 'precious');
  const stderr = await failingFrontEnd();
  expect(stderr).toContain('could not start');
  expect(stderr).toContain('is no socket');
  expect(await readFile(site.paths.daemonSocket, 'utf8')).toBe('precious');
});

test("a runtime directory that is another user's is not used", async () => {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) {
    await mkdir(site.paths.runtime, { mode: 0o777 });
    await chown(site.paths.runtime, 65_534, 65_534);
  } else {
    await symlink('/tmp', site.paths.runtime);
  }
  const impostor = createServer((socket) => socket.end('owned'));
  if (uid === 0) await new Promise<void>((resolve) => impostor.listen(site.paths.daemonSocket, resolve));
  const stderr = await failingFrontEnd();
  impostor.close();
  expect(stderr).toContain(`is not a directory of user ${uid}`);
  expect(stderr).not.toContain('owned');
});

test('a daemon that cannot start is explained with the end of its log', async () => {
  const stderr = await failingFrontEnd({ TEROK_TEST_BROKEN: '1' });
  expect(stderr).toContain('could not start');
  expect(stderr).toContain('the runtime is broken on purpose');
});

test('an idle daemon leaves, one with an active task or a connected client stays', async () => {
  const env = { TEROK_IDLE_SECONDS: '2' };
  const daemon = site.spawn(['serve'], env);
  await site.waitForDaemon();
  const client = await connect();
  await delay(3000);
  expect(daemon.exitCode).toBeNull();
  await client.call('run_headless', { project: 'demo', prompt: 'sleep 4' });
  await client.close();
  await delay(3000);
  expect(daemon.exitCode).toBeNull();
  const before = Date.now();
  expect(await exitOf(daemon)).toBe(0);
  expect(Date.now() - before).toBeLessThan(5000);
});

test('SIGTERM ends the daemon, its socket stops answering', async () => {
  const daemon = site.spawn(['serve']);
  const pid = await site.waitForDaemon();
  daemon.kill('SIGTERM');
  expect(await exitOf(daemon)).toBe(0);
  expect(isAlive(pid)).toBe(false);
  expect(await site.daemonPid()).toBeUndefined();
});

test('strangers on the socket get one line, or nothing, and the daemon lives on', async () => {
  site.spawn(['serve']);
  const pid = await site.waitForDaemon();
  const answers = await Promise.all(
    ['GET / HTTP/1.1\r\n\r\n', 'terok-mcp/9 mcp\n', 'x'.repeat(1000), '\n', '\u0000\u0000\n'].map(
      async (opening) => {
        const socket = await site.dial('x'.repeat(80));
        socket?.write(opening);
        return socket === undefined ? '' : await firstLine(socket);
      },
    ),
  );
  for (const answer of answers)
    expect(JSON.parse(answer)).toMatchObject({ error: { message: expect.stringContaining('terok-mcp/1') } });
  const abrupt = await site.dial('mcp');
  abrupt?.write('{"jsonrpc"');
  abrupt?.destroy();
  expect(await site.daemonPid()).toBe(pid);
});

test('a foreign service on the socket is not taken for a daemon by the command line', async () => {
  await mkdir(site.paths.runtime, { mode: 0o700 });
  const impostor = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n'));
  await new Promise<void>((resolve) => impostor.listen(site.paths.daemonSocket, resolve));
  const { exitCode, stderr } = await site.run(['task', 'list']);
  impostor.close();
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /The daemon (said something that is not understood|closed the connection|broke the connection)/,
  );
});
