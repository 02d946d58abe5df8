import { CancelledError } from '../core/errors.ts';
import type { Progress } from '../engine/contract.ts';

/**
 * One run of some work for all who want its result now. Each caller may leave by its own signal; the work
 * itself is cancelled when the last one has left, and everybody sees its progress.
 */
export class SharedWork<T> {
  readonly #work: (progress: Progress, signal: AbortSignal) => Promise<T>;
  #run: Run<T> | undefined;

  constructor(work: (progress: Progress, signal: AbortSignal) => Promise<T>) {
    this.#work = work;
  }

  async join(progress: Progress, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) throw cancelled(signal);
    const run = this.#run ?? this.#start();
    const listener: Progress = (message) => progress(message);
    run.listeners.add(listener);
    try {
      return await untilAborted(run.result, signal);
    } finally {
      run.listeners.delete(listener);
      if (run.listeners.size === 0) this.#abandon(run);
    }
  }

  #start(): Run<T> {
    const listeners = new Set<Progress>();
    const controller = new AbortController();
    const report: Progress = (message) => {
      for (const listener of listeners) listener(message);
    };
    const result = this.#work(report, controller.signal).finally(() => {
      if (this.#run === run) this.#run = undefined;
    });
    // Those who joined see the failure; when all have left nobody does, and that is no crash.
    result.catch(() => undefined);
    const run: Run<T> = { listeners, controller, result };
    this.#run = run;
    return run;
  }

  #abandon(run: Run<T>): void {
    if (this.#run === run) this.#run = undefined;
    run.controller.abort();
  }
}

interface Run<T> {
  readonly listeners: Set<Progress>;
  readonly controller: AbortController;
  readonly result: Promise<T>;
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  return await new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(cancelled(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

const cancelled = (signal: AbortSignal): CancelledError =>
  new CancelledError('Preparing the images was cancelled', { cause: signal.reason });

/** Shared work by key: what one key stands for runs once at a time, whoever asked first. */
export class SharedWorks<T> {
  readonly #works = new Map<string, { readonly work: SharedWork<T>; waiting: number }>();

  async join(
    key: string,
    work: (progress: Progress, signal: AbortSignal) => Promise<T>,
    progress: Progress,
    signal?: AbortSignal,
  ): Promise<T> {
    const shared = this.#works.get(key) ?? { work: new SharedWork(work), waiting: 0 };
    this.#works.set(key, shared);
    shared.waiting += 1;
    try {
      return await shared.work.join(progress, signal);
    } finally {
      shared.waiting -= 1;
      if (shared.waiting === 0 && this.#works.get(key) === shared) this.#works.delete(key);
    }
  }
}
