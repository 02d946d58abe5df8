import { expect, test } from 'vitest';
import type { Clock } from '../../../src/runtime/core/clock.ts';
import { CancelledError } from '../../../src/runtime/core/errors.ts';
import { untilIdle } from '../../../src/server/idle-watch.ts';

/** Time passes only by sleeping. */
function fakeClock(): Clock & { readonly elapsed: () => number } {
  let now = 0;
  return {
    now: () => new Date(now),
    elapsed: () => now,
    sleep: async (durationMs, signal) => {
      if (signal?.aborted === true) throw new CancelledError('cancelled');
      now += durationMs;
      await Promise.resolve();
    },
  };
}

test('nothing to do for the whole time means idle', async () => {
  const clock = fakeClock();
  expect(
    await untilIdle({ idleMs: 600_000, clock, reasonsToStay: () => [] }, new AbortController().signal),
  ).toBe('idle');
  expect(clock.elapsed()).toBe(600_000);
});

test('whatever keeps the daemon restarts the time', async () => {
  const clock = fakeClock();
  const reasonsToStay = () => (clock.elapsed() < 1_000_000 ? ['1 active tasks'] : []);
  await untilIdle({ idleMs: 600_000, clock, reasonsToStay }, new AbortController().signal);
  expect(clock.elapsed()).toBeGreaterThanOrEqual(1_560_000);
  expect(clock.elapsed()).toBeLessThanOrEqual(1_660_000);
});

test('stopping ends the watch', async () => {
  const clock = fakeClock();
  expect(await untilIdle({ idleMs: 1000, clock, reasonsToStay: () => [] }, AbortSignal.abort())).toBe(
    'cancelled',
  );
});
