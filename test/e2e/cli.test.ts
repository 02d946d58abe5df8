import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VERSION } from '../../src/server/version.ts';
import { exitOf, program, Site } from '../support/daemon-process.ts';
import { HEAD } from '../support/fake-runtime.ts';
import { connectOverStdio, type TestClient } from '../support/mcp-client.ts';

let site: Site;
let client: TestClient;

beforeAll(async () => {
  site = await Site.make();
  client = await connectOverStdio('auto', {
    command: program.file,
    args: [...program.args, 'stdio'],
    env: site.env,
  });
});
afterAll(async () => {
  await client.close();
  await site.close();
});

const terok = async (...args: string[]) => await site.run(args);

async function park(): Promise<string> {
  const { object } = await client.call('promote', {
    project: 'demo',
    branch: 'k3f9a/fix/greeting',
    head: HEAD,
  });
  return String(object?.['approval']);
}

test('approve shows what will happen, and away from a terminal does nothing without --yes', async () => {
  const id = await park();
  expect((await terok('approvals')).stdout).toMatch(new RegExp(`${id} +pending +promotion +demo`));
  const refused = await terok('approve', id);
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('--yes');
  expect(refused.stdout).toContain(`head     ${HEAD}`);
  expect(JSON.parse((await terok('approvals', '--json')).stdout)).toMatchObject([{ id, state: 'pending' }]);
  const approved = await terok('approve', id, '--yes');
  expect(approved.exitCode).toBe(0);
  expect(approved.stdout).toMatch(/target +fix\/greeting of upstream/);
  expect(approved.stdout).toContain('src/greeting.txt');
  expect(approved.stdout).toContain(`Approved ${id}: done`);
  const again = await terok('approve', id, '--yes');
  expect(again.exitCode).toBe(1);
  expect(again.stderr).toContain(`Approval ${id} is approved`);
});

test('what a sandbox wrote reaches the terminal without its escapes', async () => {
  const id = await park();
  const { stdout } = await terok('approve', id, '--yes');
  expect(stdout).toContain('red');
  expect(stdout).not.toContain('\u001b');
  expect(stdout).not.toContain('\u202e');
  const { object } = await client.call('run_headless', {
    project: 'demo',
    prompt: 'say \u001b]0;owned\u0007 done',
    wait_s: 10,
  });
  const logs = await terok('task', 'logs', String(object?.['task']), '-f');
  expect(logs.stdout).toBe(' done\n');
});

test('deny settles a request', async () => {
  const id = await park();
  expect((await terok('deny', id)).stdout).toBe(`Denied ${id}\n`);
  expect((await terok('approvals')).stdout).not.toContain(`${id} `);
});

test('projects and tasks are listed, made, stopped and deleted', async () => {
  expect((await terok('project', 'create', 'second', '--upstream', '/srv/second.git')).stdout).toContain(
    '/config/projects/second/project.yml',
  );
  expect((await terok('project', 'create', 'second', '--upstream', '/srv/second.git')).stderr).toContain(
    'exists',
  );
  const projects = await terok('project', 'list');
  expect(projects.stdout).toMatch(/second +main +claude +human/);
  expect(projects.stderr).toContain('✗ broken: ');
  const { object } = await client.call('create_task', { project: 'second' });
  const task = String(object?.['task']);
  expect((await terok('task', 'list', '--project', 'second')).stdout).toContain(task);
  expect((await terok('task', 'stop', task)).stdout).toBe(`${task} is stopped\n`);
  expect((await terok('task', 'delete', task)).stdout).toContain(`archived refs/terok/archive/${task}/`);
  expect((await terok('task', 'stop', task)).exitCode).toBe(1);
});

test('doctor and setup report, and fail when a check fails', async () => {
  const doctor = await terok('doctor');
  expect(doctor.exitCode).toBe(0);
  expect(doctor.stdout).toContain('✓ host.podman: Podman 5.4.2');
  const setup = await terok('setup', '--check');
  expect(setup.exitCode).toBe(1);
  expect(setup.stdout).toContain('✗ host.packages: podman is missing\n    apt-get install podman');
});

test('podman hands over arguments as they are', async () => {
  expect((await terok('podman', 'ps', '--help', '-a')).stdout).toBe('podman ps --help -a\n');
});

test("podman's own exit code is passed on, and a Podman that is missing is named", async () => {
  const podman = async (file: string, ...args: readonly string[]) =>
    await site.run(['podman', ...args], { env: { TEROK_TEST_PODMAN: file } });
  // As `<file> podman …`: a program that is called "podman" here is any that takes such arguments.
  expect(await podman('false')).toMatchObject({ exitCode: 1, stderr: '' });
  const script = path.join(site.root, 'podman');
  await writeFile(script, '#!/bin/sh\ntest "$2" = die && kill -TERM $$\nexit "$2"\n', { mode: 0o755 });
  expect(await podman(script, '125')).toMatchObject({ exitCode: 125, stderr: '' });
  expect(await podman(script, 'die')).toMatchObject({ exitCode: 143 });
  const missing = await podman('no-such-podman', 'ps');
  expect(missing.exitCode).toBe(1);
  expect(missing.stderr).toContain('The program "no-such-podman" is not installed');
  expect(missing.stderr).toContain('terok-mcp setup');
});

test('a log level that is none is named, with those there are', async () => {
  const { exitCode, stderr } = await site.run(['serve'], { env: { TEROK_LOG_LEVEL: 'loud' } });
  expect(exitCode).toBe(1);
  expect(stderr).toBe(
    'terok-mcp: TEROK_LOG_LEVEL is "loud", which is no log level\n  Set TEROK_LOG_LEVEL to one of trace, debug, info, warn, error, fatal, silent, or unset it.\n',
  );
});

test('a wrong call is exit code 2, one line and the usage', async () => {
  const table = [
    [['fly'], 'no such command: fly'],
    [['tsk'], 'Did you mean task?'],
    [['task'], 'terok-mcp task takes: list, logs, open, restart, stop, delete'],
    [['task', 'stop'], '<task> missing\n  usage: terok-mcp task stop <task>'],
    [['task', 'list', '--nope'], "Unknown option '--nope'"],
    [['task', 'logs', 'k', '--tail', '0'], '--tail takes a whole number'],
    [['project', 'create', 'x'], '--upstream <url> missing'],
    [['serve', '--idle-minutes', 'soon'], '--idle-minutes takes a number'],
    [['constructor'], 'no such command'],
  ] as const;
  for (const [args, expected] of table) {
    const { exitCode, stderr } = await terok(...args);
    expect(exitCode, args.join(' ')).toBe(2);
    expect(stderr).toContain(expected);
  }
});

test('help names every command and the exit codes; version is the version', async () => {
  const { stdout, exitCode } = await terok('help');
  expect(exitCode).toBe(0);
  for (const command of [
    'stdio',
    'serve',
    'setup',
    'doctor',
    'project create',
    'run <agent>',
    'follow-up',
    'run-tool',
    'web',
    'logs',
    'login',
    'task logs',
    'task restart',
    'task open',
    'approve',
    'deny',
    'podman',
  ]) {
    expect(stdout).toContain(`terok-mcp ${command}`);
  }
  expect(stdout).toContain('Exit codes: 0');
  expect((await terok('version')).stdout).toBe(`${VERSION}\n`);
});

test('a daemon of another release is named', async () => {
  const status = await terok('daemon', 'status');
  expect(status.stdout).toContain(`Release ${VERSION}`);
  expect(status.stdout).toMatch(/Stays because of: 2 connected/);
});

test('--in-process is refused while a daemon holds the state', async () => {
  const { exitCode, stderr } = await terok('stdio', '--in-process');
  expect(exitCode).toBe(1);
  expect(stderr).toContain('Leave out --in-process');
});

test('a run is given its prompt on standard input, and its exit code is that of the command', async () => {
  const input = 'say out of standard input\nsay $(id) "\'\nexit 7';
  const { exitCode, stdout, stderr } = await site.run(['run', 'scripted', '/srv/x.git', '-p', '-'], {
    input,
  });
  expect([exitCode, stdout]).toEqual([7, 'out of standard input\n$(id) "\'\n']);
  expect(stderr).toMatch(/terok-mcp: task \w{5} failed with exit code 7/);
});

test('Ctrl-C ends the showing with 130 and leaves the task running', async () => {
  const child = site.spawn(['run', 'scripted', '--project', 'demo', '-p', 'say on\nsleep 60']);
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => (output.stdout += String(chunk)));
  child.stderr?.on('data', (chunk) => (output.stderr += String(chunk)));
  await expect.poll(() => output.stdout, { timeout: 10_000 }).toBe('on\n');
  child.kill('SIGINT');
  expect(await exitOf(child)).toBe(130);
  const [, task = ''] = /Task (\w{5}) goes on/.exec(output.stderr) ?? [];
  expect((await client.call('task_status', { task })).object).toMatchObject({ state: 'running' });
  await terok('task', 'stop', task);
});

test('a reader that leaves ends the command quietly, and not the task', async () => {
  const script = Array.from({ length: 40 }, (_, index) => `say ${index}\nsleep 0.1`).join('\n');
  const child = site.spawn(['run', 'scripted', '--project', 'demo', '-p', `${script}\nsleep 60`]);
  let stderr = '';
  child.stderr?.on('data', (chunk) => (stderr += String(chunk)));
  child.stdout?.once('data', () => child.stdout?.destroy());
  expect(await exitOf(child)).toBe(141);
  const [, task = ''] = /^Task (\w{5}) \(scripted\)\n$/.exec(stderr) ?? [stderr];
  expect((await client.call('task_status', { task })).object).toMatchObject({ state: 'running' });
  await terok('task', 'stop', task);
});
