import type { TaskId } from '../core/ids.ts';

interface Start {
  readonly id: TaskId;
  readonly cancel: AbortController;
  readonly done: Promise<unknown>;
}

/** Tasks that are being made or started again, each of which can be told to give up. */
export class StartsUnderWay {
  readonly #starts = new Set<Start>();
  readonly #stopping = new AbortController();

  /** Runs a start, with a signal that any of these ends: the caller's, `cancel`, `stop`. */
  async run<T>(
    id: TaskId,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const cancel = new AbortController();
    const either = AbortSignal.any([
      cancel.signal,
      this.#stopping.signal,
      ...(signal === undefined ? [] : [signal]),
    ]);
    const working = work(either);
    const start: Start = { id, cancel, done: working.catch(() => undefined) };
    this.#starts.add(start);
    try {
      return await working;
    } finally {
      this.#starts.delete(start);
    }
  }

  /** Ends what is under way for a task; everything of it is undone. Says whether there was anything. */
  cancel(id: TaskId): boolean {
    const found = [...this.#starts].filter((start) => start.id === id);
    for (const { cancel } of found) cancel.abort();
    return found.length > 0;
  }

  /** Ends all of them and waits until they are undone. None starts afterwards. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#starts].map(({ done }) => done));
  }
}
