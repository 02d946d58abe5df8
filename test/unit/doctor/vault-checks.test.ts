import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/runtime/core/clock.ts';
import { InvalidInputError } from '../../../src/runtime/core/errors.ts';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { filesOpenToOthers } from '../../../src/runtime/doctor/doctor-loader.ts';
import { DoctorService } from '../../../src/runtime/doctor/doctor-service.ts';
import { vaultChecks } from '../../../src/runtime/doctor/vault-checks.ts';
import { FakeVault, NO_USE } from '../../support/fake-vault.ts';

let state: string;
let vault: FakeVault;
let prices: Error | undefined;
let readers: 'nobody' | 'its user';
beforeEach(async () => {
  state = await mkdtemp('/tmp/td-');
  vault = new FakeVault();
  prices = undefined;
  readers = 'nobody';
});
afterEach(async () => await rm(state, { recursive: true, force: true }));

async function find(check: string) {
  const checks = vaultChecks({
    vault,
    clock: systemClock,
    state,
    filesOpenToOthers,
    memoryReaders: async () => readers,
    loadPrices: async () => {
      if (prices !== undefined) throw prices;
    },
    places: () => [{ task: 'k3f9a', directory: '/tasks/k3f9a/agent-home', agentHome: true }],
  });
  const findings = await new DoctorService({ checks }).examine();
  expect(findings.map((finding) => finding.check)).toEqual([
    'vault.state',
    'vault.files',
    'vault.memory',
    'vault.credentials',
    'vault.prices',
    'vault.leaks',
  ]);
  expect(JSON.stringify(findings)).not.toContain('sk-secret');
  return findings.find((finding) => finding.check === check);
}

const credential = (more: { readonly problem?: string; readonly expiresAt?: string }) => ({
  provider: 'codex',
  set: 'default',
  kind: 'oauth' as const,
  version: 1,
  storedAt: '2026-01-01T00:00:00.000Z',
  expiresAt: more.expiresAt,
  problem: more.problem,
  use: NO_USE,
});

test('the vault is empty, unlocked or locked, and its key is somewhere', async () => {
  const said = async () => await find('vault.state');
  expect(await said()).toMatchObject({ level: 'ok', message: 'the vault is empty; its key: in your head' });
  vault.keys.set('claude', new Secret('sk-secret'));
  expect(await said()).toMatchObject({
    level: 'ok',
    message: expect.stringContaining('is unlocked, with 1'),
  });
  vault.isLocked = true;
  expect(await said()).toMatchObject({ level: 'warn', fix: expect.stringContaining('vault unlock') });
});

test('a daemon that programs of its user can look into is said (V14)', async () => {
  expect(await find('vault.memory')).toMatchObject({ level: 'ok' });
  readers = 'its user';
  expect(await find('vault.memory')).toMatchObject({ level: 'warn', fix: expect.stringContaining('log') });
});

test('a file of the vault that others can read is a failure', async () => {
  await mkdir(path.join(state, 'audit'));
  const files = ['vault.db', 'vault.key', 'audit/credentials.jsonl', 'state.db'];
  for (const file of files) {
    await writeFile(path.join(state, file), '');
    await chmod(path.join(state, file), 0o600);
  }
  expect(await find('vault.files')).toMatchObject({ level: 'ok' });
  await chmod(path.join(state, 'vault.key'), 0o644);
  await chmod(path.join(state, 'audit/credentials.jsonl'), 0o640);
  await chmod(path.join(state, 'state.db'), 0o644);
  expect(await find('vault.files')).toMatchObject({
    level: 'fail',
    message: `others of this machine can read ${state}/vault.key; ${state}/audit/credentials.jsonl`,
  });
});

test('a credential that its vendor refuses is named, one that ended is mentioned', async () => {
  vault.known.push(credential({ expiresAt: '2020-01-01T00:00:00.000Z' }));
  expect(await find('vault.credentials')).toMatchObject({
    level: 'ok',
    message: '1 credentials, none with a problem; ended, and renewed when a task asks: codex',
  });
  vault.known.push(credential({ problem: 'the vendor refuses to renew it' }));
  expect(await find('vault.credentials')).toMatchObject({
    level: 'warn',
    message: 'codex (default): the vendor refuses to renew it',
    fix: 'Run "terok-mcp auth codex".',
  });
});

test('prices that cannot be read are told with their line', async () => {
  expect(await find('vault.prices')).toMatchObject({ level: 'ok' });
  prices = new InvalidInputError('prices.yaml:3: vendors.x must be a mapping');
  expect(await find('vault.prices')).toMatchObject({ level: 'warn', message: prices.message });
});

test('a leak is a failure that names file, provider and task; what was not looked at is said', async () => {
  expect(await find('vault.leaks')).toMatchObject({
    level: 'ok',
    message: expect.stringContaining('1 directories'),
  });
  const leak = {
    task: 'k3f9a',
    path: '/tasks/k3f9a/agent-home/.claude/.credentials.json',
    offset: undefined,
    provider: 'claude',
    kind: 'known_file' as const,
  };
  vault.leaks = { leaks: [leak], skipped: ['/x lies too deep'], hasExactMatches: true };
  expect(await find('vault.leaks')).toMatchObject({
    level: 'fail',
    message:
      'credentials where containers can read them: a login of claude in /tasks/k3f9a/agent-home/.claude/.credentials.json (task k3f9a); not looked at: /x lies too deep',
  });
  vault.leaks = { leaks: [], skipped: [], hasExactMatches: false };
  expect((await find('vault.leaks'))?.message).toContain('the vault does not open');
});
