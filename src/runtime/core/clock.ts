import { setTimeout as delay } from 'node:timers/promises';
import { CancelledError } from './errors.ts';

export interface Clock {
  now(): Date;
  /** Throws CancelledError when the signal fires first. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: async (durationMs, signal) => {
    try {
      await delay(durationMs, undefined, signal === undefined ? {} : { signal });
    } catch (cause) {
      throw new CancelledError('The wait was cancelled', { cause });
    }
  },
};
