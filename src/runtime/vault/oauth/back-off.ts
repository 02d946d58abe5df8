const FIRST_MS = 5_000;
const LONGEST_MS = 5 * 60_000;

/** When an endpoint that could not be reached may be tried again, by key. */
export class BackOff {
  readonly #random: () => number;
  readonly #pauses = new Map<
    string,
    { readonly failures: number; readonly untilMs: number; readonly reason: string }
  >();

  constructor(deps: { readonly random: () => number }) {
    this.#random = deps.random;
  }

  /** Why it may not be tried yet; undefined: it may. */
  reason(key: string, now: Date): string | undefined {
    const pause = this.#pauses.get(key);
    const leftMs = pause === undefined ? 0 : pause.untilMs - now.getTime();
    // More is left than was ever given: the clock was set back.
    return leftMs > 0 && leftMs <= LONGEST_MS * 1.5 ? pause?.reason : undefined;
  }

  /** Twice as long each time, and never the same for two that failed together. */
  failed(key: string, now: Date, reason: string): void {
    const failures = (this.#pauses.get(key)?.failures ?? 0) + 1;
    const pauseMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * (0.5 + this.#random());
    this.#pauses.set(key, { failures, untilMs: now.getTime() + pauseMs, reason });
  }

  succeeded(key: string): void {
    this.#pauses.delete(key);
  }
}
