import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/runtime/core/clock.ts';
import { CommandError } from '../../../src/runtime/core/errors.ts';
import { silentLogger } from '../../../src/runtime/core/log.ts';
import { runCommandLine } from '../../../src/server/cli/command-line.ts';
import { Daemon } from '../../../src/server/daemon.ts';
import type { Host } from '../../../src/server/host.ts';
import { loadHost } from '../../../src/server/host-loader.ts';
import { pathsOf } from '../../../src/server/host-paths.ts';
import { FakeRuntime } from '../../support/fake-runtime.ts';

/** The command line against a real daemon on a real socket, in this process. */

let directory: string;
let runtime: FakeRuntime;
let daemon: Daemon;
let host: Host;

beforeEach(async () => {
  directory = await mkdtemp('/tmp/tc-');
  await mkdir(path.join(directory, 'cwd'));
  runtime = new FakeRuntime();
  host = {
    ...loadHost(process, '/main.js'),
    cwd: path.join(directory, 'cwd'),
    env: {
      TEROK_CONFIG_DIR: path.join(directory, 'c'),
      TEROK_STATE_DIR: path.join(directory, 's'),
      TEROK_RUNTIME_DIR: path.join(directory, 'r'),
    },
  };
  daemon = await Daemon.start({
    paths: pathsOf(host),
    uid: host.uid,
    pid: host.pid,
    createRuntime: async () => runtime,
    logger: silentLogger,
    clock: systemClock,
    idleMs: 600_000,
  });
});
afterEach(async () => {
  daemon.stop('the test is over');
  await daemon.finished;
  await rm(directory, { recursive: true, force: true });
});

/** Runs one command; `interrupt` is Ctrl-C. */
function start(...argv: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const said = { stdout: '', stderr: '' };
  stdout.on('data', (chunk) => (said.stdout += String(chunk)));
  stderr.on('data', (chunk) => (said.stderr += String(chunk)));
  const handlers: Array<(signal: string) => void> = [];
  const exitCode = runCommandLine({
    ...host,
    argv,
    stdout,
    stderr,
    onSignal: (handler) => void handlers.push(handler),
  });
  return {
    said,
    interrupt: () => handlers.map((handler) => handler('SIGINT')),
    ended: exitCode.then((code) => ({ exitCode: code, ...said })),
  };
}
const terok = async (...argv: string[]) => await start(...argv).ended;

describe('image build', () => {
  test('prints what was built, and each agent that was skipped with its reason', async () => {
    const { exitCode, stdout, stderr } = await terok('image', 'build', 'demo', '--full-rebuild', '--dev');
    expect([exitCode, stderr]).toEqual([0, '· Building terok-l1-cli:test\n']);
    expect(stdout).toBe(
      'Built terok-l0:test\nBuilt terok-l1-cli:test\nTasks run on terok-l1-cli:test\n' +
        '  ✓ claude 2.1.319\n  ✓ scripted 1\n  ! vibe skipped: its package cannot be had\n',
    );
    expect(runtime.images.builds).toMatchObject([
      { project: { id: 'demo' }, scope: 'full', dev: true, sidecar: false },
    ]);
  });

  test('without a project it builds what all share', async () => {
    await terok('image', 'build', '--agents', '--sidecar');
    expect(runtime.images.builds).toMatchObject([{ project: undefined, scope: 'agents', sidecar: true }]);
  });

  test('a relative --build-dir is that of the caller, and is written before anything is built', async () => {
    const { stderr } = await terok('image', 'build', 'demo', '--build-dir', 'out/files');
    const buildDir = path.join(host.cwd, 'out/files');
    expect(await readFile(path.join(buildDir, 'L0.Dockerfile'), 'utf8')).toBe('FROM scratch\n');
    expect(stderr).toBe(`· Wrote 1 files to ${buildDir}\n· Building terok-l1-cli:test\n`);
  });

  test('a --build-dir that is a file, or in use, is refused before anything is built', async () => {
    await writeFile(path.join(host.cwd, 'file'), 'mine');
    await mkdir(path.join(host.cwd, 'used'));
    await writeFile(path.join(host.cwd, 'used/file'), 'mine');
    for (const name of ['file', 'used']) {
      const { exitCode, stderr } = await terok('image', 'build', '--build-dir', name);
      expect(exitCode).toBe(1);
      expect(stderr).toContain(path.join(host.cwd, name));
    }
    expect(runtime.images.builds).toEqual([]);
    expect(await readFile(path.join(host.cwd, 'used/file'), 'utf8')).toBe('mine');
  });

  test('a failure is told with its last lines', async () => {
    runtime.images.isInstant = false;
    const command = start('image', 'build');
    await expect.poll(() => runtime.images.runningCount).toBe(1);
    runtime.images.fail(new CommandError('The layer could not be built', { details: 'E: one\nE: two' }));
    const { exitCode, stderr } = await command.ended;
    expect([exitCode, stderr]).toEqual([
      1,
      'terok-mcp: The layer could not be built\n  | E: one\n  | E: two\n',
    ]);
  });

  test('a running build keeps the daemon, and Ctrl-C gives it up', async () => {
    runtime.images.isInstant = false;
    const command = start('image', 'build');
    await expect.poll(() => runtime.images.runningCount).toBe(1);
    expect(JSON.parse((await terok('daemon', 'status', '--json')).stdout).reasonsToStay).toContain(
      '1 image builds',
    );
    command.interrupt();
    expect(await command.ended).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Interrupted before the daemon answered'),
    });
    await expect.poll(() => runtime.images.runningCount).toBe(0);
  });

  test('an unknown project names the nearest; contradictions and leftovers are wrong calls', async () => {
    const unknown = await terok('image', 'build', 'demmo');
    expect([unknown.exitCode, unknown.stderr]).toEqual([
      1,
      'terok-mcp: No project named "demmo"\n  Did you mean demo?\n',
    ]);
    for (const args of [
      ['--agents', '--full-rebuild'],
      ['demo', 'more'],
      ['--build-dir', ''],
    ]) {
      const { exitCode, stderr } = await terok('image', 'build', ...args);
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining('usage: terok-mcp image build')]);
    }
    expect(runtime.images.builds).toEqual([]);
  });
});

describe('image generate', () => {
  test('writes to a place of ours, which an earlier call left full', async () => {
    const place = path.join(directory, 's/core/build/demo');
    for (let round = 0; round < 2; round++) {
      expect(await terok('image', 'generate', 'demo')).toEqual({
        exitCode: 0,
        stdout: `${path.join(place, 'L0.Dockerfile')}\n`,
        stderr: '',
      });
      await writeFile(path.join(place, 'leftover'), '');
    }
  });

  test('a directory that was named is never emptied', async () => {
    await mkdir(path.join(host.cwd, 'used'));
    await writeFile(path.join(host.cwd, 'used/file'), 'mine');
    const { exitCode, stderr } = await terok('image', 'generate', '--build-dir', 'used');
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('Name an empty directory.')]);
    expect(await readFile(path.join(host.cwd, 'used/file'), 'utf8')).toBe('mine');
  });

  test('a project that is a path empties nothing', async () => {
    const precious = path.join(directory, 's/precious');
    await mkdir(precious, { recursive: true });
    const { exitCode, stderr } = await terok('image', 'generate', '../../precious');
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('is no project id')]);
    await expect(readFile(precious)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

test('image list shows what nothing needs any more, for people and as JSON', async () => {
  const { stdout } = await terok('image', 'list');
  expect(stdout).toMatch(/^IMAGE +LAYER +PROJECT +STATE +MIB +CREATED\ndemo:l2-cli +l2 +demo +used +300 /);
  expect(stdout).toMatch(/\neeeeffff0000 +l1 +- +dangling +300 /);
  const images = JSON.parse((await terok('image', 'list', '--json')).stdout);
  expect(images).toHaveLength(3);
  expect(images[2]).toMatchObject({ id: 'sha256:2222', project: 'gone', state: 'orphaned' });
});

test('image cleanup says what would go, and what went', async () => {
  expect((await terok('image', 'cleanup', '--dry-run')).stdout).toMatch(/^Would remove:\n.*\n(?:.*\n){2}$/);
  expect(runtime.images.records).toHaveLength(3);
  expect((await terok('image', 'cleanup')).stdout).toContain('Removed:\n');
  expect((await terok('image', 'cleanup')).stdout).toBe('Nothing to remove.\n');
  expect(runtime.images.records).toMatchObject([{ state: 'used' }]);
});

test('agent list is what the tool says, for people and as JSON', async () => {
  await terok('image', 'build');
  const { exitCode, stdout, stderr } = await terok('agent', 'list', '--project', 'demo');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/\nclaude \* +agent +2\.1\.319 +resume,model,subagents +Claude\n/);
  expect(stdout).toMatch(/\nvibe +agent +no +- +Vibe\n/);
  expect(stderr).toContain('! vibe is not installed: its package cannot be had\n');
  expect(stderr).toContain('✗ mine: /config/agents/mine.yaml:2:1 unknown key "bin"\n');
  const view = JSON.parse((await terok('agent', 'list', '--json')).stdout);
  expect(view).toMatchObject({ default_agent: 'claude', image: 'ready', broken: [{ name: 'mine' }] });
  expect(view.agents).toHaveLength(5);
  expect((await terok('agent', 'list', '--project', 'demmo')).stderr).toContain('Did you mean demo?');
});

test('project list names the agent of a project that names none', async () => {
  expect(JSON.parse((await terok('project', 'list', '--json')).stdout).projects).toMatchObject([
    { id: 'demo', agent: 'claude' },
  ]);
});
