import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AgentLoader } from '../../../src/runtime/agents/agent-loader.ts';
import { systemClock } from '../../../src/runtime/core/clock.ts';
import type { Logger } from '../../../src/runtime/core/log.ts';
import { runCommandLine } from '../../../src/server/cli/command-line.ts';
import { Daemon } from '../../../src/server/daemon.ts';
import type { Host } from '../../../src/server/host.ts';
import { loadHost } from '../../../src/server/host-loader.ts';
import { pathsOf } from '../../../src/server/host-paths.ts';
import { program } from '../../support/daemon-process.ts';
import { FakeRuntime } from '../../support/fake-runtime.ts';
import { FakeVault } from '../../support/fake-vault.ts';
import { resourcesDir } from '../../support/host.ts';
import { Terminal } from '../../support/terminal.ts';

const KEY = 'sk-very-secret-1234';

let directory: string;
let vault: FakeVault;
let daemon: Daemon;
let host: Host;
let logged: unknown[];

beforeEach(async () => {
  directory = await mkdtemp('/tmp/tc-');
  host = {
    ...loadHost(process, '/main.js'),
    cwd: directory,
    env: {
      TEROK_CONFIG_DIR: path.join(directory, 'c'),
      TEROK_STATE_DIR: path.join(directory, 's'),
      TEROK_RUNTIME_DIR: path.join(directory, 'r'),
    },
  };
  vault = new FakeVault();
  logged = [];
  const note = (fields: object, message: string): void => void logged.push([fields, message]);
  const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger };
  const agents = new AgentLoader({
    bundled: path.join(resourcesDir, 'agents'),
    own: path.join(directory, 'c/agents'),
  });
  daemon = await Daemon.start({
    paths: pathsOf(host),
    uid: host.uid,
    pid: host.pid,
    createRuntime: async () => Object.assign(new FakeRuntime(), { agents, vault }),
    logger,
    clock: systemClock,
    idleMs: 600_000,
  });
});
afterEach(async () => {
  daemon.stop('the test is over');
  await daemon.finished;
  await rm(directory, { recursive: true, force: true });
});

async function auth(input: string, ...argv: readonly string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let said = '';
  for (const stream of [stdout, stderr]) stream.on('data', (chunk) => (said += String(chunk)));
  const stdin = Readable.from(input === '' ? [] : [Buffer.from(input)]);
  const exitCode = await runCommandLine({
    ...host,
    argv: ['auth', ...argv],
    stdin,
    stdout,
    stderr,
    onSignal: () => undefined,
  });
  expect(said).not.toContain(KEY);
  expect(JSON.stringify(logged)).not.toContain(KEY);
  return { exitCode, said };
}

const keyOf = (name: string) => vault.keys.get(name)?.reveal();

describe('terok-mcp auth', () => {
  test('keeps what is piped in, for all projects or one, and says what it is', async () => {
    const tool = await auth(`  ${KEY}\r\n`, 'coderabbit');
    expect(tool.exitCode).toBe(0);
    expect(keyOf('coderabbit')).toBe(KEY);
    expect(tool.said).toContain('Kept in the vault: the API key of coderabbit, for all projects.');
    const agent = await auth(`${KEY}\n`, 'claude', '--api-key', '--set', 'demo');
    expect(agent.said).toContain('the API key of claude, for project demo.');
    expect(keyOf('claude@demo')).toBe(KEY);
    expect(keyOf('claude')).toBeUndefined();
  });

  test('forgets it', async () => {
    await auth(KEY, 'coderabbit');
    expect((await auth('', 'coderabbit', '--remove')).said).toContain('is forgotten');
    expect(keyOf('coderabbit')).toBeUndefined();
    expect(await auth('', 'coderabit', '--remove')).toMatchObject({
      exitCode: 1,
      said: expect.stringContaining('There was no credential of coderabit'),
    });
  });

  test('logs in at a terminal only, and in one way at a time', async () => {
    const piped = await auth(KEY, 'claude', '--login');
    expect(piped).toMatchObject({ exitCode: 2, said: expect.stringContaining('needs a terminal') });
    expect((await auth(KEY, 'claude', '--login', '--api-key')).exitCode).toBe(2);
    expect(vault.keys.size).toBe(0);
  });

  test('takes no key as an argument, and does not repeat one', async () => {
    for (const argv of [
      ['coderabbit', KEY],
      ['coderabbit', `--key=${KEY}`],
    ]) {
      expect((await auth('', ...argv)).exitCode).toBe(2);
    }
    expect(vault.keys.size).toBe(0);
  });

  test('refuses names that are not there or take none before anything is read', async () => {
    const unknown = await auth(KEY, 'coderabit');
    expect(unknown).toMatchObject({ exitCode: 1, said: expect.stringContaining('Did you mean coderabbit') });
    const keyless = await auth(KEY, 'scripted');
    expect(keyless).toMatchObject({ exitCode: 1, said: expect.stringContaining('takes no credential') });
    expect(vault.keys.size).toBe(0);
  });

  test.each([
    ['nothing', '', 'No key was given'],
    ['spaces alone', '  \n', 'No key was given'],
    ['a little too much', 'k'.repeat(16_385), 'longer than 16384 characters'],
    ['a file of another kind', 'k'.repeat(100_000), 'longer than 16384 characters'],
  ])('refuses %s in a sentence of its own', async (_, input, said) => {
    expect(await auth(input, 'coderabbit')).toMatchObject({
      exitCode: 1,
      said: expect.stringContaining(said),
    });
    expect(vault.keys.size).toBe(0);
  });
});

describe('a person at a terminal who is asked for the way', () => {
  const asked = (name: string): Terminal =>
    new Terminal([program.file, ...program.args, 'auth', name], {
      ...host.env,
      PATH: process.env['PATH'] ?? '',
      HOME: directory,
    });

  test('types 2 for a key, and sees where one gets it', async () => {
    await using terminal = asked('claude');
    await terminal.sees(/1 {2}log in to Claude[\s\S]*1 or 2 \[1\]: $/);
    terminal.type('2\r');
    await terminal.sees(/console\.anthropic\.com[\s\S]*API key of claude, and Enter/);
    terminal.type(`${KEY}\r`);
    expect(await terminal.exited()).toBe(0);
    expect(terminal.raw).not.toContain(KEY.slice(0, 4));
    expect(keyOf('claude')).toBe(KEY);
  });

  test('types something else, and is told before a container is made', async () => {
    await using terminal = asked('claude');
    await terminal.sees(/1 or 2 \[1\]: $/);
    terminal.type('7\r');
    expect(await terminal.exited()).toBe(2);
    expect(terminal.shown).toContain('the answer is 1 or 2');
  });

  test('keeps nothing with Ctrl-D', async () => {
    await using terminal = asked('claude');
    await terminal.sees(/1 or 2 \[1\]: $/);
    terminal.type('\u0004');
    expect(await terminal.exited()).toBe(1);
    expect(terminal.shown).toContain('Nothing was kept');
    expect(vault.keys.size).toBe(0);
  });
});

describe('a key that is typed', () => {
  /** The command on a terminal of its own, and what that is set to afterwards. */
  const typing = (): Terminal => {
    const command = [program.file, ...program.args, 'auth', 'coderabbit'];
    return new Terminal(['bash', '-c', '"$@"; echo "ended with $?"; stty -a', 'bash', ...command], {
      ...host.env,
      PATH: process.env['PATH'] ?? '',
      HOME: directory,
    });
  };

  test('is not shown, can be mended, and leaves the terminal as it was', async () => {
    await using terminal = typing();
    await terminal.sees(/API key of coderabbit, and Enter/);
    terminal.type('wrong\u0015');
    terminal.type(`${KEY}xy\u007f\b\r`);
    await terminal.sees(/ended with 0[\s\S]*\secho\s/);
    expect(await terminal.exited()).toBe(0);
    expect(terminal.raw).not.toContain(KEY.slice(0, 4));
    expect(terminal.raw).not.toContain('wrong');
    expect(terminal.shown).toMatch(/\sicanon\s/);
    expect(keyOf('coderabbit')).toBe(KEY);
  });

  test('is not kept after Ctrl-C, nor when nothing was typed', async () => {
    for (const [keys, said] of [
      [`${KEY}\u0003`, /Nothing was kept/],
      ['\r', /No key was given/],
    ] as const) {
      await using terminal = typing();
      await terminal.sees(/API key of coderabbit, and Enter/);
      terminal.type(keys);
      await terminal.sees(/ended with [1-9][0-9]*[\s\S]*\secho\s/);
      expect(terminal.shown).toMatch(said);
      expect(terminal.raw).not.toContain(KEY.slice(0, 4));
      expect(keyOf('coderabbit')).toBeUndefined();
    }
  });
});
