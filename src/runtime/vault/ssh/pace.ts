import type { Clock } from '../../core/clock.ts';

/** At most so many in any stretch of this length. */
export class Pace {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #stretchMs: number;
  #times: number[] = [];

  constructor(deps: { readonly clock: Clock; readonly most: number; readonly stretchMs: number }) {
    this.#clock = deps.clock;
    this.#most = deps.most;
    this.#stretchMs = deps.stretchMs;
  }

  /** Says whether one more is within it, and counts it then. */
  take(): boolean {
    const now = this.#clock.now().getTime();
    // What is yet to come is from before the clock was set back.
    this.#times = this.#times.filter((at) => at > now - this.#stretchMs && at <= now);
    if (this.#times.length >= this.#most) return false;
    this.#times.push(now);
    return true;
  }
}
