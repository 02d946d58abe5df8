import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../../../src/runtime/core/clock.ts';
import type { EventInput } from '../../../../src/runtime/core/event-log.ts';
import { silentLogger } from '../../../../src/runtime/core/log.ts';
import { Renewer } from '../../../../src/runtime/vault/oauth/renewer.ts';
import type { ExchangeOutcome, LiveCredential, TokenExchange } from '../../../../src/runtime/vault/parts.ts';
import type { OAuthCredential } from '../../../../src/runtime/vault/stored-credential.ts';
import { EventRecorder } from '../../../support/event-recorder.ts';
import { PlainStore } from '../../../support/plain-store.ts';

const WHOSE = { provider: 'vendor', set: 'default' };
const MINUTE_MS = 60_000;

/** An exchange whose answers a test gives by hand. */
class ScriptedExchange implements TokenExchange {
  readonly asked: string[] = [];
  readonly #waiting: ((outcome: ExchangeOutcome) => void)[] = [];
  left: ExchangeOutcome | undefined;
  discarded = 0;

  async exchange(_renewal: unknown, credential: OAuthCredential): Promise<ExchangeOutcome> {
    this.asked.push(credential.refresh_token);
    return await new Promise((resolve) => this.#waiting.push(resolve));
  }
  async takeUp(): Promise<ExchangeOutcome | undefined> {
    return this.left;
  }
  async discard(): Promise<void> {
    this.discarded += 1;
  }
  async answer(outcome: ExchangeOutcome): Promise<void> {
    while (this.#waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    this.#waiting.shift()?.(outcome);
    await settled();
  }
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

let store: PlainStore;
let exchange: ScriptedExchange;
let events: readonly EventInput[];
let nowMs: number;
let isRuled: boolean;
let renewer: Renewer;

const clock: Clock = { now: () => new Date(nowMs), sleep: async () => undefined };
const tokens = (n: number, minutes: number | null): OAuthCredential => ({
  kind: 'oauth',
  access_token: `access-${n}`,
  refresh_token: `refresh-${n}`,
  expires_at: minutes === null ? null : Math.floor((nowMs + minutes * MINUTE_MS) / 1000),
  facts: { account_id: 'a1' },
});
const renewed = (n: number, minutes: number | null = 60): ExchangeOutcome => ({
  kind: 'renewed',
  credential: tokens(n, minutes),
});
const get = (): Promise<LiveCredential | undefined> => renewer.get('vendor', 'default');
const accessOf = (live: LiveCredential | undefined): string | undefined =>
  live?.credential.kind === 'oauth' ? live.credential.access_token : undefined;

beforeEach(async () => {
  const directory = await mkdtemp('/tmp/tk-renewer-');
  store = new PlainStore(path.join(directory, 'store.json'));
  exchange = new ScriptedExchange();
  const recorder = new EventRecorder();
  events = recorder.events;
  nowMs = Date.now();
  isRuled = true;
  renewer = new Renewer({
    store,
    exchange,
    clock,
    log: silentLogger,
    random: () => 0.5,
    events: recorder,
    rules: async () =>
      new Map(
        isRuled
          ? [['vendor', { token_url: 'https://vendor.example/token', client_id: 'c', body: 'json' }]]
          : [],
      ),
  });
  return async () => {
    renewer[Symbol.dispose]();
    await rm(directory, { recursive: true, force: true });
  };
});

describe('a credential that is asked for', () => {
  it('is undefined where none is stored, and an API key as it is', async () => {
    expect(await get()).toBeUndefined();
    store.put(WHOSE, { kind: 'api_key', key: 'k' });
    const live = await get();
    expect(live?.credential).toEqual({ kind: 'api_key', key: 'k' });
    if (live !== undefined) expect((await renewer.refused(live))?.info.version).toBe(1);
    expect(exchange.asked).toEqual([]);
  });

  it('is renewed once for twenty who wait, and stored before any of them has it (V8)', async () => {
    store.put(WHOSE, tokens(0, -1));
    const all = Array.from({ length: 20 }, async () => {
      const live = await get();
      expect(store.open(WHOSE)?.credential).toEqual(live?.credential);
      return accessOf(live);
    });
    await exchange.answer(renewed(1));
    expect(new Set(await Promise.all(all))).toEqual(new Set(['access-1']));
    expect(exchange.asked).toEqual(['refresh-0']);
    expect(store.renewals()).toEqual([]);
    expect(exchange.discarded).toBe(1);
  });

  it('is given at once while it lasts, and renewed meanwhile', async () => {
    store.put(WHOSE, tokens(0, 60));
    nowMs += 45 * MINUTE_MS;
    expect(accessOf(await get())).toBe('access-0');
    expect(exchange.asked).toEqual([]);
    nowMs += 6 * MINUTE_MS;
    expect(accessOf(await get())).toBe('access-0');
    expect(accessOf(await get())).toBe('access-0');
    expect(exchange.asked).toEqual(['refresh-0']);
    await exchange.answer(renewed(1));
    expect(accessOf(await get())).toBe('access-1');
  });

  it('that lives for minutes only is not renewed at every request', async () => {
    store.put(WHOSE, tokens(0, 5));
    for (let turn = 0; turn < 5; turn += 1) expect(accessOf(await get())).toBe('access-0');
    expect(exchange.asked).toEqual([]);
  });

  it('that does not say when it ends is renewed only when its vendor refuses it', async () => {
    store.put(WHOSE, tokens(0, null));
    nowMs += 1_000_000 * MINUTE_MS;
    const live = await get();
    if (live === undefined) throw new Error('none');
    expect(exchange.asked).toEqual([]);
    const next = renewer.refused(live);
    await exchange.answer(renewed(1, null));
    expect(accessOf(await next)).toBe('access-1');
    // A late 401 of the old version renews nothing.
    expect(accessOf(await renewer.refused(live))).toBe('access-1');
    expect(exchange.asked).toEqual(['refresh-0']);
  });

  it('lets a caller leave without ending the renewal', async () => {
    store.put(WHOSE, tokens(0, -1));
    const leaving = new AbortController();
    const left = renewer.get('vendor', 'default', leaving.signal);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
    await exchange.answer(renewed(1));
    expect(accessOf(await get())).toBe('access-1');
  });
});

describe('a renewal that does not work', () => {
  it('and was refused is one event, one word to the person and no further call, until it changes', async () => {
    store.put(WHOSE, tokens(0, -1));
    const all = Promise.allSettled(Array.from({ length: 20 }, () => get()));
    await exchange.answer({ kind: 'refused', reason: 'the token endpoint answered 400 (invalid_grant)' });
    for (const result of await all) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'COMMAND_FAILED', hint: 'Log in again with "terok-mcp auth vendor".' },
      });
    }
    for (let turn = 0; turn < 5; turn += 1) await expect(get()).rejects.toThrow('is over');
    expect(exchange.asked).toHaveLength(1);
    expect(events).toMatchObject([{ kind: 'credential.login_needed', data: WHOSE }]);
    expect(JSON.stringify(events)).not.toMatch(/access-|refresh-/);
    expect(store.list()[0]?.problem).toContain('terok-mcp auth vendor');
    store.put(WHOSE, tokens(7, 60));
    expect(accessOf(await get())).toBe('access-7');
  });

  it('and did not reach the vendor leaves the old token in use while it lasts, and is tried again later', async () => {
    store.put(WHOSE, tokens(0, 60));
    nowMs += 55 * MINUTE_MS;
    const unreachable: ExchangeOutcome = { kind: 'unreachable', reason: 'ECONNREFUSED' };
    expect(accessOf(await get())).toBe('access-0');
    await exchange.answer(unreachable);
    for (let turn = 0; turn < 50; turn += 1) expect(accessOf(await get())).toBe('access-0');
    await settled();
    expect(exchange.asked).toHaveLength(1);
    nowMs += 6_000;
    expect(accessOf(await get())).toBe('access-0');
    await exchange.answer(unreachable);
    expect(exchange.asked).toHaveLength(2);
    nowMs += 6_000;
    await get();
    await settled();
    expect(exchange.asked).toHaveLength(2);
    nowMs += 5 * MINUTE_MS;
    const over = get();
    over.catch(() => undefined);
    await exchange.answer(unreachable);
    await expect(over).rejects.toMatchObject({ code: 'COMMAND_FAILED', details: 'ECONNREFUSED' });
    expect(events).toEqual([]);
  });

  it('and has no rule in the roster today is renewed once it has one again', async () => {
    store.put(WHOSE, tokens(0, -1));
    isRuled = false;
    await expect(get()).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      details: expect.stringContaining('roster'),
    });
    expect([store.list()[0]?.problem, events]).toEqual([undefined, []]);
    isRuled = true;
    nowMs += MINUTE_MS;
    const live = get();
    await exchange.answer(renewed(1));
    expect(accessOf(await live)).toBe('access-1');
  });

  it('is no storm where a vendor refuses every new token as well', async () => {
    store.put(WHOSE, tokens(0, null));
    for (let turn = 1; turn <= 20; turn += 1) {
      const live = await get();
      if (live === undefined) throw new Error('none');
      const next = renewer.refused(live);
      if (exchange.asked.length < turn) await settled();
      if (exchange.asked.length === turn) await exchange.answer(renewed(turn, null));
      await next;
    }
    expect(exchange.asked).toHaveLength(5);
  });
});

describe('a clock that is set back', () => {
  const DAY_MS = 24 * 60 * MINUTE_MS;

  it('does not put off the next try for as long', async () => {
    store.put(WHOSE, tokens(0, null));
    const first = await get();
    if (first === undefined) throw new Error('none');
    const refused = renewer.refused(first);
    await exchange.answer({ kind: 'unreachable', reason: 'ECONNREFUSED' });
    await refused;
    nowMs -= DAY_MS;
    const again = renewer.refused(first);
    await exchange.answer(renewed(1, null));
    expect(accessOf(await again)).toBe('access-1');
  });

  it('does not end the renewals that a vendor asks for', async () => {
    store.put(WHOSE, tokens(0, null));
    for (let turn = 1; turn <= 6; turn += 1) {
      const live = await get();
      if (live === undefined) throw new Error('none');
      if (turn === 6) nowMs -= DAY_MS;
      const next = renewer.refused(live);
      await exchange.answer(renewed(turn, null));
      expect(accessOf(await next)).toBe(`access-${turn}`);
    }
  });
});

describe('what was under way when an earlier run ended', () => {
  const begun = { id: 'f'.repeat(32), ...WHOSE, version: 1, startedAt: '' };

  it('is taken up before anything is sent', async () => {
    store.put(WHOSE, tokens(0, -1));
    store.beginRenewal(begun);
    exchange.left = renewed(1);
    expect(accessOf(await get())).toBe('access-1');
    expect(exchange.asked).toEqual([]);
    expect(store.renewals()).toEqual([]);
  });

  it('is sent once more where nothing is known of it', async () => {
    store.put(WHOSE, tokens(0, -1));
    store.beginRenewal(begun);
    renewer.start();
    const live = get();
    await exchange.answer(renewed(1));
    expect(accessOf(await live)).toBe('access-1');
    expect(exchange.asked).toEqual(['refresh-0']);
  });

  it('gives way to a login of a person meanwhile', async () => {
    store.put(WHOSE, tokens(0, -1));
    store.beginRenewal(begun);
    store.put(WHOSE, tokens(5, 60));
    exchange.left = renewed(1);
    renewer.start();
    await settled();
    expect(accessOf(await get())).toBe('access-5');
    expect(store.renewals()).toEqual([]);
  });

  it('waits for a vault that was locked meanwhile, and loses nothing', async () => {
    store.put(WHOSE, tokens(0, -1));
    const live = get();
    live.catch(() => undefined);
    while (exchange.asked.length === 0) await settled();
    store.setLocked(true);
    exchange.left = renewed(1);
    await exchange.answer(renewed(1));
    await expect(live).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
    await expect(get()).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
    expect(store.renewals()).toHaveLength(1);
    store.setLocked(false);
    expect(accessOf(await get())).toBe('access-1');
    expect(exchange.asked).toHaveLength(1);
  });
});
