import { expect, it } from 'vitest';
import type { Clock } from '../../../src/runtime/core/clock.ts';
import { KnownRoutes } from '../../../src/runtime/vault/known-routes.ts';
import { rosterEntry } from '../../support/roster.ts';

it('routes are read once for all who ask within two seconds, and a failure is not kept', async () => {
  let nowMs = 1_000;
  let reads = 0;
  let failure: Error | undefined;
  const clock: Clock = { now: () => new Date(nowMs), sleep: async () => undefined };
  const route = { prefix: 'own', upstream: 'https://api.example', auth: { api_key: { header: 'x-key' } } };
  const agents = {
    roster: async () => {
      reads += 1;
      if (failure !== undefined) throw failure;
      return { entries: [rosterEntry('own', {}, { route })], broken: [] };
    },
  };
  const known = new KnownRoutes({ agents, clock });
  const all = await Promise.all(Array.from({ length: 50 }, () => known.get()));
  expect(all[49]?.get('own')?.upstream).toBe('https://api.example');
  expect(reads).toBe(1);
  nowMs += 2_000;
  await known.get();
  expect(reads).toBe(2);
  nowMs += 2_000;
  failure = new Error('unreadable');
  await expect(known.get()).rejects.toThrow('unreadable');
  failure = undefined;
  await known.get();
  expect(reads).toBe(4);
});
