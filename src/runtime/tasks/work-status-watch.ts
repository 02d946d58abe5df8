import type { Clock } from '../core/clock.ts';
import type { WorkStatus } from './contract.ts';

const POLL_MS = 1_000;
/** What an agent says when there is something for others to do. */
const NOTABLE = new Set(['done', 'blocked', 'error']);

/**
 * Looks once a second until an agent says that it is done, blocked or in error, having said otherwise before: true.
 * False when the signal fires first. What it says at the start is what it "said before".
 */
export async function turnsNotable(
  load: () => Promise<WorkStatus | undefined>,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  let before = (await load())?.status;
  while (!signal.aborted) {
    await clock.sleep(POLL_MS, signal).catch(() => undefined);
    if (signal.aborted) return false;
    const status = (await load())?.status;
    if (status !== undefined && status !== before && NOTABLE.has(status)) return true;
    before = status;
  }
  return false;
}
