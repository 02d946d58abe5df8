import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { FakeRuntime, HOSTILE } from '../../support/fake-runtime.ts';
import { NO_USE } from '../../support/fake-vault.ts';
import { connectInMemory, type TestClient } from '../../support/mcp-client.ts';

const KEY = 'sk-very-secret-1234';

let runtime: FakeRuntime;
let client: TestClient;

beforeEach(async () => {
  runtime = new FakeRuntime();
  client = await connectInMemory('auto', { runtime });
});
afterEach(async () => await client.close());

test('list_credentials tells what there is and what it was used for, never a value', async () => {
  runtime.vault.keys.set('claude', new Secret(KEY));
  runtime.vault.known.push({
    provider: 'codex',
    set: 'demo',
    kind: 'oauth',
    version: 2,
    storedAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-02T00:00:00.000Z',
    problem: HOSTILE,
    use: {
      ...NO_USE,
      requests: 3,
      inputTokens: 5,
      costUsd: 0.123456,
      lastUsedAt: '2026-01-01T10:00:00.000Z',
    },
  });
  const { object, text } = await client.call('list_credentials');
  expect(object).toMatchObject({
    vault: 'unlocked',
    total: 2,
    credentials: [
      { provider: 'claude', set: 'default', kind: 'api_key', requests: 0 },
      { provider: 'codex', set: 'demo', requests: 3, input_tokens: 5, cost_usd: 0.1235 },
    ],
    next: 'Ask a person to run: terok-mcp auth codex',
  });
  expect(text).not.toContain(KEY);
  expect(text).not.toMatch(/[\u001b\u202e]/);
});

test.each([
  ['empty', false, false, /terok-mcp auth/],
  ['locked', true, true, /terok-mcp vault unlock/],
  ['unlocked', true, false, /run_headless/],
])('a vault that is %s has a next step', async (state, hasKey, isLocked, next) => {
  if (hasKey) runtime.vault.keys.set('claude', new Secret(KEY));
  runtime.vault.isLocked = isLocked;
  const { object } = await client.call('list_credentials');
  expect(object).toMatchObject({ vault: state, next: expect.stringMatching(next) });
});

test('revoke_credentials ends the tokens of a task, a provider, or both, and says how many', async () => {
  const started = await client.call('run_headless', { project: 'demo', prompt: 'sleep 5' });
  const task = String(started.object?.['task']);
  const token = (of: string, provider: string) => ({ task: of, provider });
  const own = ['claude', 'codex', 'gh'].map((provider) => token(task, provider));
  runtime.vault.tokens.push(...own, token('zzzzz', 'claude'), token('zzzzz', 'gh'));
  const both = await client.call('revoke_credentials', { task, provider: 'gh' });
  expect(both.object).toMatchObject({ revoked: 1, next: expect.stringContaining(`task=${task}`) });
  expect((await client.call('revoke_credentials', { task: task.slice(0, 3) })).object).toMatchObject({
    revoked: 2,
  });
  expect((await client.call('revoke_credentials', { provider: 'claude' })).object).toMatchObject({
    revoked: 1,
  });
  expect(runtime.vault.tokens).toEqual([token('zzzzz', 'gh')]);
});

test.each([{}, { task: 'no task' }, { task: 'zzzzz' }, { provider: '../x' }, { everything: true }])(
  'revoke_credentials ends nothing for %j',
  async (input) => {
    runtime.vault.tokens.push({ task: 'yyyyy', provider: 'claude' });
    expect(await client.call('revoke_credentials', input)).toMatchObject({ isError: true });
    expect(runtime.vault.tokens).toHaveLength(1);
  },
);
