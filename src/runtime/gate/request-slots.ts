/**
 * At most so many at a time; the others wait in line, and past the line's length there is no waiting. Bounds
 * the git processes that one task can make this machine run.
 */
export class RequestSlots {
  #free: number;
  readonly #maxWaiting: number;
  readonly #waiting: Array<(hasSlot: boolean) => void> = [];

  constructor(options: { readonly slots: number; readonly maxWaiting: number }) {
    this.#free = options.slots;
    this.#maxWaiting = options.maxWaiting;
  }

  /** Undefined when the line is full, or the signal fired first; else the way to give the slot back. */
  async take(signal: AbortSignal): Promise<(() => void) | undefined> {
    if (signal.aborted) return undefined;
    if (this.#free > 0) this.#free--;
    else if (this.#waiting.length >= this.#maxWaiting || !(await this.#wait(signal))) return undefined;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next(true);
    };
  }

  async #wait(signal: AbortSignal): Promise<boolean> {
    return await new Promise<boolean>((resolve) => {
      const leave = (): void => {
        const place = this.#waiting.indexOf(settle);
        if (place >= 0) this.#waiting.splice(place, 1);
        resolve(false);
      };
      const settle = (hasSlot: boolean): void => {
        signal.removeEventListener('abort', leave);
        resolve(hasSlot);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(settle);
    });
  }
}
