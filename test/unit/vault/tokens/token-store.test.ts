import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/runtime/core/secret.ts';
import { TokenStore } from '../../../../src/runtime/vault/tokens/token-store.ts';
import { type TestState, testState } from '../../../support/state.ts';
import { insertTasks, TASK_A, TASK_B } from '../../../support/vault-budget.ts';

const HOUR_MS = 3600_000;
const grantOf = (token: string, provider = 'claude', set = 'default') => ({
  provider,
  set,
  kind: 'api_key' as const,
  token: new Secret(token),
});

describe('phantom tokens', () => {
  let state: TestState;
  let tokens: TokenStore;
  let ended: string[];
  const inAnHour = () => new Date(state.clock.now().getTime() + HOUR_MS);
  const open = () => new TokenStore(state);
  beforeEach(() => {
    state = testState();
    insertTasks(state.database, TASK_A, TASK_B);
    tokens = open();
    ended = [];
    tokens.onRevoked((task) => ended.push(task));
  });
  afterEach(() => state[Symbol.dispose]());

  it('say whose credential they stand for, on their own task only (V4)', () => {
    tokens.grant(TASK_A, [grantOf('t1'), grantOf('t2', 'gh', 'demo')], inAnHour());
    tokens.grant(TASK_B, [grantOf('t3')], inAnHour());
    expect(tokens.check(TASK_A, 't1')).toEqual({ kind: 'valid', provider: 'claude', set: 'default' });
    expect(tokens.check(TASK_A, 't2')).toEqual({ kind: 'valid', provider: 'gh', set: 'demo' });
    expect(tokens.check(TASK_A, 't3')).toEqual({ kind: 'foreign' });
    expect(tokens.check(TASK_B, 't2')).toEqual({ kind: 'foreign' });
  });

  it('are unknown when nobody granted them, revoked or empty, and expired at the very moment (V3)', () => {
    tokens.grant(TASK_A, [grantOf('t1')], inAnHour());
    for (const token of ['', 't', 't11', 'T1', 't1 ', 'x'.repeat(100_000), '__proto__'])
      expect(tokens.check(TASK_A, token)).toEqual({ kind: 'unknown' });
    state.clock.advance(HOUR_MS - 1);
    expect(tokens.check(TASK_A, 't1').kind).toBe('valid');
    state.clock.advance(1);
    expect(tokens.check(TASK_A, 't1')).toEqual({ kind: 'expired' });
    // Of another task it is foreign first: that is the alarm.
    expect(tokens.check(TASK_B, 't1')).toEqual({ kind: 'foreign' });
    tokens.revoke({ task: TASK_A });
    expect(tokens.check(TASK_A, 't1')).toEqual({ kind: 'unknown' });
  });

  it('end at once when they are revoked, by task, provider, set or all, and tell whose they were (V3)', () => {
    const grant = () => {
      tokens.grant(TASK_A, [grantOf('a1'), grantOf('a2', 'gh')], inAnHour());
      tokens.grant(TASK_B, [grantOf('b1'), grantOf('b2', 'claude', 'demo')], inAnHour());
      ended = [];
    };
    const valid = () =>
      [[TASK_A, 'a1'] as const, [TASK_A, 'a2'] as const, [TASK_B, 'b1'] as const, [TASK_B, 'b2'] as const]
        .filter(([task, token]) => tokens.check(task, token).kind === 'valid')
        .map(([, token]) => token);
    grant();
    expect(tokens.revoke({ task: TASK_A })).toBe(2);
    expect([valid(), ended]).toEqual([['b1', 'b2'], [TASK_A]]);
    grant();
    expect(tokens.revoke({ provider: 'claude' })).toBe(3);
    expect([valid(), ended]).toEqual([['a2'], [TASK_A, TASK_B]]);
    grant();
    expect(tokens.revoke({ provider: 'claude', set: 'default' })).toBe(2);
    expect([valid(), ended]).toEqual([
      ['a2', 'b2'],
      [TASK_A, TASK_B],
    ]);
    grant();
    expect(tokens.revoke({ task: TASK_B, provider: 'gh' })).toBe(0);
    expect([valid(), ended]).toEqual([['a1', 'a2', 'b1', 'b2'], []]);
    expect(tokens.revoke({})).toBe(4);
    expect([valid(), ended]).toEqual([[], [TASK_A, TASK_B]]);
    expect(open().check(TASK_A, 'a1')).toEqual({ kind: 'unknown' });
  });

  it('of a new start take the place of those before, which nobody can use any more', () => {
    tokens.grant(TASK_A, [grantOf('old')], inAnHour());
    expect(ended).toEqual([]);
    tokens.grant(TASK_A, [grantOf('new')], inAnHour());
    expect(tokens.check(TASK_A, 'old')).toEqual({ kind: 'unknown' });
    expect(tokens.check(TASK_A, 'new').kind).toBe('valid');
    expect(ended).toEqual([TASK_A]);
    tokens.grant(TASK_A, [], inAnHour());
    expect(tokens.check(TASK_A, 'new')).toEqual({ kind: 'unknown' });
  });

  it('survive a restart as hashes: neither the database nor its log holds one', () => {
    const text = 'sk-ant-terokp0123456789abcdef';
    tokens.grant(TASK_A, [grantOf(text)], inAnHour());
    expect(open().check(TASK_A, text)).toEqual({ kind: 'valid', provider: 'claude', set: 'default' });
    expect(open().check(TASK_B, text)).toEqual({ kind: 'foreign' });
    const dump = JSON.stringify(state.database.prepare('SELECT hex(hash), * FROM phantom_tokens').all());
    expect(dump).not.toContain('terokp');
    expect(state.database.serialize().includes('terokp')).toBe(false);
  });

  it('are asked of memory alone: the hot path waits for no disk', () => {
    tokens.grant(TASK_A, [grantOf('t1')], inAnHour());
    state.database.exec('DROP TABLE phantom_tokens');
    expect(tokens.check(TASK_A, 't1').kind).toBe('valid');
    expect(tokens.check(TASK_A, 'x').kind).toBe('unknown');
  });

  it('are refused and told of even where the disk no longer takes their end', () => {
    tokens.grant(TASK_A, [grantOf('t1')], inAnHour());
    state.database.exec(
      "CREATE TRIGGER full BEFORE DELETE ON phantom_tokens BEGIN SELECT raise(ABORT, 'disk'); END",
    );
    expect(() => tokens.revoke({ task: TASK_A })).toThrow('disk');
    expect(tokens.check(TASK_A, 't1')).toEqual({ kind: 'unknown' });
    expect(ended).toEqual([TASK_A]);
  });

  it('are granted all or none', () => {
    tokens.grant(TASK_B, [grantOf('taken')], inAnHour());
    expect(() => tokens.grant(TASK_A, [grantOf('t1'), grantOf('taken')], inAnHour())).toThrow();
    expect(tokens.check(TASK_A, 't1')).toEqual({ kind: 'unknown' });
    expect(tokens.check(TASK_B, 'taken').kind).toBe('valid');
    expect(open().check(TASK_A, 't1')).toEqual({ kind: 'unknown' });
  });

  it('need a task that exists, and go with its row', () => {
    state.database.exec("DELETE FROM tasks WHERE id = 'k3f9b'");
    expect(() => tokens.grant(TASK_B, [grantOf('t1')], inAnHour())).toThrow(/FOREIGN KEY/);
    tokens.grant(TASK_A, [grantOf('t2')], inAnHour());
    state.database.exec("DELETE FROM tasks WHERE id = 'k3f9a'");
    expect(open().check(TASK_A, 't2')).toEqual({ kind: 'unknown' });
  });
});
