import { CancelledError } from '../core/errors.ts';
import type { Progress } from '../engine/contract.ts';
import type { BuildProgress, BuildRequest, BuildResult, ImageBuilds, Images } from './contract.ts';

/** How long an outcome that nobody waited for is kept. */
const KEPT_MS = 15 * 60_000;

type Outcome = { readonly result: BuildResult } | { readonly error: unknown };

interface Job {
  readonly controller: AbortController;
  readonly startedAtMs: number;
  /** Those who wait now. */
  readonly listeners: Set<Progress>;
  /** Never rejects. */
  readonly settled: Promise<Outcome>;
  isKept: boolean;
  lastLine: string | undefined;
  outcome: { readonly value: Outcome; readonly atMs: number } | undefined;
}

/** One build for all who ask for the same, whether or not they wait for its end. */
export class ImageJobs implements ImageBuilds, AsyncDisposable {
  readonly #images: Pick<Images, 'build'>;
  readonly #monotonicMs: () => number;
  /** By what they build: those that run and those whose outcome waits for somebody. */
  readonly #jobs = new Map<string, Job>();
  readonly #running = new Set<Job>();
  #isDisposed = false;

  constructor(deps: {
    readonly images: Pick<Images, 'build'>;
    /** Milliseconds on a clock that never goes back. */
    readonly monotonicMs: () => number;
  }) {
    this.#images = deps.images;
    this.#monotonicMs = deps.monotonicMs;
  }

  async join(
    request: BuildRequest,
    options: { readonly waitMs?: number | undefined; readonly outlivesCaller: boolean },
    progress: Progress,
    signal?: AbortSignal,
  ): Promise<BuildProgress> {
    if (this.#isDisposed || signal?.aborted === true) throw cancelled();
    this.#forgetOld();
    const key = JSON.stringify(request);
    const job = this.#jobs.get(key) ?? this.#start(key, request);
    if (options.outlivesCaller) job.isKept = true;
    const listener: Progress = (line) => progress(line);
    job.listeners.add(listener);
    if (job.outcome === undefined && job.lastLine !== undefined) listener(job.lastLine);
    try {
      const outcome = job.outcome?.value ?? (await untilSettled(job.settled, options.waitMs, signal));
      if (outcome === undefined)
        return {
          state: 'building',
          elapsedMs: this.#monotonicMs() - job.startedAtMs,
          lastLine: job.lastLine,
        };
      this.#forget(key, job);
      if ('error' in outcome) throw outcome.error;
      return { state: 'built', result: outcome.result };
    } finally {
      job.listeners.delete(listener);
      if (job.listeners.size === 0 && !job.isKept && job.outcome === undefined) {
        this.#forget(key, job);
        job.controller.abort(cancelled());
      }
    }
  }

  activeCount(): number {
    return this.#running.size;
  }

  /** Cancels what runs, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#jobs.clear();
    for (const { controller } of this.#running) controller.abort(cancelled());
    await Promise.all([...this.#running].map(async ({ settled }) => await settled));
  }

  #start(key: string, request: BuildRequest): Job {
    const controller = new AbortController();
    const listeners = new Set<Progress>();
    const report: Progress = (line) => {
      job.lastLine = line;
      for (const listener of listeners) listener(line);
    };
    const run = async (): Promise<Outcome> => {
      try {
        return { result: await this.#images.build(request, report, controller.signal) };
      } catch (error) {
        return { error };
      }
    };
    const job: Job = {
      controller,
      startedAtMs: this.#monotonicMs(),
      listeners,
      // A moment later: the job is there before its first line comes.
      settled: Promise.resolve().then(run),
      isKept: false,
      lastLine: undefined,
      outcome: undefined,
    };
    void job.settled.then((value) => {
      job.outcome = { value, atMs: this.#monotonicMs() };
      this.#running.delete(job);
    });
    this.#running.add(job);
    this.#jobs.set(key, job);
    return job;
  }

  #forget(key: string, job: Job): void {
    if (this.#jobs.get(key) === job) this.#jobs.delete(key);
  }

  #forgetOld(): void {
    const now = this.#monotonicMs();
    for (const [key, { outcome }] of this.#jobs)
      if (outcome !== undefined && now - outcome.atMs > KEPT_MS) this.#jobs.delete(key);
  }
}

/** Undefined when the time is up first. Throws CancelledError when the signal fires first. */
async function untilSettled(
  settled: Promise<Outcome>,
  waitMs: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Outcome | undefined> {
  return await new Promise((resolve, reject) => {
    const timer =
      waitMs === undefined ? undefined : setTimeout(() => settle(() => resolve(undefined)), waitMs);
    const onAbort = () => settle(() => reject(cancelled()));
    const settle = (answer: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      answer();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    void settled.then((outcome) => settle(() => resolve(outcome)));
  });
}

const cancelled = (): CancelledError => new CancelledError('Waiting for the images was cancelled');
