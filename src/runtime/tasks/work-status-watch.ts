import type { Clock } from '../core/clock.ts';
import type { WorkStatus } from './contract.ts';

const POLL_MS = 1_000;
/** What an agent says when there is something for others to do. */
const NOTABLE = new Set(['done', 'blocked', 'error']);

/**
 * Looks once a second until an agent says that it is done, blocked or in error, other than it did `before`: true.
 * False when the signal fires first.
 */
export async function turnsNotable(
  load: () => Promise<WorkStatus | undefined>,
  options: { readonly before: string | undefined; readonly clock: Clock },
  signal: AbortSignal,
): Promise<boolean> {
  let { before } = options;
  while (!signal.aborted) {
    const status = (await load())?.status;
    if (status !== undefined && status !== before && NOTABLE.has(status)) return true;
    before = status;
    await options.clock.sleep(POLL_MS, signal).catch(() => undefined);
  }
  return false;
}
