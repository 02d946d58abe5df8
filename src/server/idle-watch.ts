import type { Clock } from '../runtime/core/clock.ts';
import { CancelledError } from '../runtime/core/errors.ts';

/**
 * Resolves once nothing has kept the daemon busy for `idleMs` at a stretch. Looks often enough to be late by
 * a tenth of that at most.
 */
export async function untilIdle(
  options: {
    readonly idleMs: number;
    readonly clock: Clock;
    readonly reasonsToStay: () => readonly string[];
  },
  signal: AbortSignal,
): Promise<'idle' | 'cancelled'> {
  const { idleMs, clock, reasonsToStay } = options;
  const stepMs = Math.max(50, Math.min(idleMs / 10, 30_000));
  let idleSince = clock.now().getTime();
  try {
    for (;;) {
      await clock.sleep(stepMs, signal);
      const now = clock.now().getTime();
      if (reasonsToStay().length > 0) idleSince = now;
      else if (now - idleSince >= idleMs) return 'idle';
    }
  } catch (error) {
    if (error instanceof CancelledError) return 'cancelled';
    throw error;
  }
}
