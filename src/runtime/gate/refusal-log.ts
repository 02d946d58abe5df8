import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';

const PAUSE_MS = 60_000;

/** Tells of refused requests without letting whoever sends them fill the disk: one line, then one a minute. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  #untold = 0;
  #status = 0;
  #toldAt: number | undefined;

  constructor(deps: { readonly log: Logger; readonly clock: Clock }) {
    this.#log = deps.log;
    this.#clock = deps.clock;
  }

  add(status: number): void {
    this.#untold++;
    this.#status = status;
    const now = this.#clock.now().getTime();
    if (this.#toldAt !== undefined && now - this.#toldAt < PAUSE_MS) return;
    this.#toldAt = now;
    this.flush();
  }

  /** Tells what has not been told yet. */
  flush(): void {
    if (this.#untold === 0) return;
    this.#log.info({ status: this.#status, refused: this.#untold }, 'gate refused requests');
    this.#untold = 0;
  }
}
