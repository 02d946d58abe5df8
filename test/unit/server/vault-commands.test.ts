import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/runtime/core/secret.ts';
import type { AuditRecord } from '../../../src/runtime/vault/contract.ts';
import { DaemonInProcess } from '../../support/daemon-in-process.ts';
import { program } from '../../support/daemon-process.ts';
import { HOSTILE } from '../../support/fake-runtime.ts';
import { NO_USE } from '../../support/fake-vault.ts';
import { Terminal } from '../../support/terminal.ts';

const KEY = 'sk-very-secret-1234';

let daemon: DaemonInProcess;
beforeEach(async () => {
  daemon = await DaemonInProcess.start();
});
afterEach(async () => await daemon[Symbol.asyncDispose]());

const piping = async (input: string, ...argv: readonly string[]) =>
  await daemon.begin(argv, Readable.from([Buffer.from(input)])).ended;

describe('the state of the vault', () => {
  test('is told in words and as JSON', async () => {
    expect((await daemon.run('vault', 'status')).stdout).toBe(
      'The vault is empty. Credentials: 0. SSH keys: 0.\nIts key: in your head\n',
    );
    const json = JSON.parse((await daemon.run('vault', 'status', '--json')).stdout);
    expect(json).toMatchObject({ state: 'empty', keySource: 'passphrase', lockedBecause: null });
  });

  test('changes by lock, and back by the passphrase that is piped', async () => {
    daemon.runtime.vault.keys.set('claude', new Secret(KEY));
    expect((await daemon.run('vault', 'lock')).stdout).toContain('The vault is locked. Credentials: 1');
    const wrong = await piping('wrong\n', 'vault', 'unlock');
    expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('does not open the vault') });
    const right = await piping('the right passphrase\n', 'vault', 'unlock');
    expect(right).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('The vault is unlocked') });
    expect(right.stdout + wrong.stderr).not.toContain('passphrase\n');
  });

  test('needs no passphrase where the key lies elsewhere', async () => {
    Object.assign(daemon.runtime.vault, { keySource: 'file', isLocked: true });
    expect((await daemon.run('vault', 'unlock')).exitCode).toBe(0);
  });
});

describe('the key of the vault', () => {
  test('is taken from another place', async () => {
    expect((await piping('a new one, with spaces\n', 'vault', 'key', 'passphrase')).exitCode).toBe(0);
    expect(daemon.runtime.vault.passphrase).toBe('a new one, with spaces');
    expect((await daemon.run('vault', 'key', 'file')).exitCode).toBe(0);
    expect(daemon.runtime.vault.keySource).toBe('file');
    expect((await daemon.run('vault', 'rotate')).exitCode).toBe(0);
  });

  test.each([
    ['vault', 'key'],
    ['vault', 'key', 'cellar'],
    ['vault', 'key', 'passphrase', 'in-argv'],
    ['vault', 'unlock', 'in-argv'],
    ['vault', 'nonsense'],
    ['vault', 'import'],
  ])('is not changed by %s %s %s', async (...argv) => {
    expect((await daemon.run(...argv)).exitCode).toBe(2);
    expect(daemon.runtime.vault.keySource).toBe('passphrase');
  });

  test('is asked for twice at a terminal, unseen, and two that differ change nothing', async () => {
    const command = [program.file, ...program.args, 'vault', 'key', 'passphrase'];
    const typing = () =>
      new Terminal(command, { ...env(), PATH: process.env['PATH'] ?? '', HOME: daemon.host.cwd });
    const { vault } = daemon.runtime;
    {
      await using terminal = typing();
      await terminal.sees(/new passphrase, and Enter/);
      terminal.type('one way\r');
      await terminal.sees(/Once more/);
      terminal.type('another way\r');
      expect(await terminal.exited()).toBe(1);
      expect(terminal.shown).toContain('The two differ');
      expect(vault.passphrase).toBe('the right passphrase');
    }
    await using terminal = typing();
    await terminal.sees(/new passphrase, and Enter/);
    terminal.type('same here\r');
    await terminal.sees(/Once more/);
    terminal.type('same here\r');
    expect(await terminal.exited()).toBe(0);
    expect(terminal.raw).not.toContain('same here');
    expect(vault.passphrase).toBe('same here');
  });
});

const env = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(daemon.host.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );

describe('credentials', () => {
  test('are listed with what they were used for, and never a value', async () => {
    const { vault } = daemon.runtime;
    expect((await daemon.run('vault', 'list')).stdout).toContain('Nothing is stored yet');
    vault.keys.set('claude', new Secret(KEY));
    vault.known.push({
      provider: 'codex',
      set: 'demo',
      kind: 'oauth',
      version: 3,
      storedAt: '2026-01-01T00:00:00.000Z',
      expiresAt: '2026-01-02T00:00:00.000Z',
      problem: 'the vendor refuses to renew it',
      use: { ...NO_USE, requests: 7, inputTokens: 1200, outputTokens: 30, costUsd: 1.234 },
    });
    const { stdout, stderr } = await daemon.run('vault', 'list');
    expect(stdout).toMatch(/claude\s+default\s+api_key\s+-\s+0\s+0\+0\s+\$0\.00\s+never/);
    expect(stdout).toMatch(/codex\s+demo\s+oauth\s+2026-01-02T00:00:00.000Z\s+7\s+1200\+30\s+\$1\.23/);
    expect(stderr).toContain('codex (demo): the vendor refuses to renew it');
    const json = (await daemon.run('vault', 'list', '--json')).stdout;
    expect(JSON.parse(json)).toHaveLength(2);
    expect(stdout + stderr + json).not.toContain(KEY);
  });

  test('are removed, of one set', async () => {
    daemon.runtime.vault.keys.set('claude@demo', new Secret(KEY));
    expect((await daemon.run('vault', 'remove', 'claude')).exitCode).toBe(1);
    expect((await daemon.run('vault', 'remove', 'claude', '--set', 'demo')).exitCode).toBe(0);
    expect(daemon.runtime.vault.keys.size).toBe(0);
  });

  test('go out sealed to a file of their owner alone, and come in again', async () => {
    const { vault } = daemon.runtime;
    vault.keys.set('claude', new Secret(KEY));
    const file = path.join(daemon.host.cwd, 'vault.export');
    expect((await piping('for the way\n', 'vault', 'export', '--output', 'vault.export')).exitCode).toBe(0);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await piping('for the way\n', 'vault', 'export', '-o', 'vault.export');
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('exists already') });
    expect((await piping('for the way\n', 'vault', 'export')).stdout).toBe(await readFile(file, 'utf8'));
    expect((await piping('for the way\n', 'vault', 'import', file)).stdout).toBe('Nothing was new.\n');
    expect((await piping('p\n', 'vault', 'import', file, '--overwrite')).stdout).toBe('Took: claude\n');
    const absent = await piping('p\n', 'vault', 'import', 'absent');
    expect(absent).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('does not exist') });
  });

  test('are not exported without a passphrase', async () => {
    expect((await piping('\n', 'vault', 'export')).exitCode).toBe(1);
  });

  test('an export that is a whole disk is not read', async () => {
    const file = path.join(daemon.host.cwd, 'large');
    await writeFile(file, 'x'.repeat(5 * 1024 * 1024));
    expect((await piping('p\n', 'vault', 'import', file)).exitCode).toBe(1);
  });
});

describe('the audit', () => {
  const record = (more: Partial<AuditRecord>): AuditRecord => ({
    at: '2026-01-01T00:00:00.123Z',
    task: 'k3f9a',
    project: 'demo',
    channel: 'http',
    method: 'POST',
    target: '/v1/messages',
    outcome: 'ok',
    durationMs: 1234.5,
    ...more,
  });

  test('is a line for each request', async () => {
    expect((await daemon.run('audit')).stdout).toContain('No task has used a credential');
    daemon.runtime.vault.records.push(
      record({
        provider: 'claude',
        set: 'demo',
        status: 200,
        bytesSent: 900,
        bytesReceived: 12_345_678,
        inputTokens: 10,
        outputTokens: 20,
        costUsd: 0.5,
      }),
      record({ task: 'zzzzz', channel: 'ssh', method: 'sign', target: 'git@github.com', durationMs: 65_000 }),
    );
    const lines = (await daemon.run('audit')).stdout.split('\n');
    expect(lines[1]).toMatch(
      /^2026-01-01T00:00:00Z {2}k3f9a {2}claude \(demo\) {2}200 +ok +1235 ms +900 +12M +10\+20 +\$0\.5000 +POST \/v1\/messages$/,
    );
    expect(lines[2]).toMatch(/zzzzz {2}- .* 65 s .*ssh sign git@github\.com$/);
    expect((await daemon.run('audit', '--task', 'zzzzz')).stdout).not.toContain('k3f9a');
    expect((await daemon.run('audit', '--provider', 'claude')).stdout).not.toContain('zzzzz');
    expect((await daemon.run('audit', '--limit', '1')).stdout).not.toContain('k3f9a');
    expect(JSON.parse((await daemon.run('audit', '--json')).stdout)).toHaveLength(2);
  });

  test('shows what a task chose without what it could do to a terminal', async () => {
    daemon.runtime.vault.records.push(record({ target: HOSTILE, method: '\u001b[2J' }));
    const { stdout } = await daemon.run('audit');
    expect(stdout).not.toMatch(/[\u001b\u202e]/);
  });

  test.each(['0', '-1', 'many', '10001', '1.5'])('takes no limit of %s', async (limit) => {
    expect((await daemon.run('audit', `--limit=${limit}`)).exitCode).toBe(2);
  });
});
