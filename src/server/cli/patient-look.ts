import { setTimeout as delay } from 'node:timers/promises';
import { CancelledError } from '../../runtime/core/errors.ts';
import { ConnectionLostError, type ControlClient } from '../control/control-client.ts';
import type { CommandContext } from './command.ts';

/** Long enough for "terok-mcp daemon stop" to find the daemon's place empty before this command fills it again. */
const BEFORE_NEXT_MS = 1_000;
/** Daemons that go away one after another, none of which stayed for so long. */
const MAX_LOSSES = 5;
const STAYED_MS = 10_000;

/**
 * Asks the daemon what can be asked twice. When it goes away meanwhile, the next one is asked, which this command
 * starts if nobody else does: `look` is called again, and goes on from what it remembers. Throws CancelledError as soon
 * as the signal fires.
 */
export async function lookPatiently<T>(
  { withDaemon, output }: Pick<CommandContext, 'withDaemon' | 'output'>,
  signal: AbortSignal,
  look: (client: ControlClient) => Promise<T>,
): Promise<T> {
  for (let losses = 0; ; ) {
    const since = Date.now();
    try {
      return await orCancelled(withDaemon(look), signal);
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error;
      losses = Date.now() - since > STAYED_MS ? 1 : losses + 1;
      if (losses >= MAX_LOSSES) throw error;
      output.note('terok-mcp: the daemon went away; tasks go on, and the next daemon is asked.');
      await orCancelled(delay(BEFORE_NEXT_MS), signal);
    }
  }
}

/** Without waiting for a daemon that is just being started. */
async function orCancelled<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const settled = new AbortController();
  const interrupted = new Promise<never>((_resolve, reject) => {
    const leave = () => reject(new CancelledError('Interrupted before the daemon answered'));
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { signal: settled.signal });
  });
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    settled.abort();
  }
}
