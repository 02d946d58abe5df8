import { EMPTY_SUMMARY, type RunSummary } from '../transcript/contract.ts';
import type { Task } from './contract.ts';
import { isUp } from './state.ts';
import type { TaskCloser } from './task-closer.ts';
import type { TaskContext } from './task-context.ts';

const POLL_MS = 200;
const EVENTS_AT_ONCE = 500;
/** An agent that goes on trying by itself is ended after so many times, or so long without any success. */
const MAX_RETRIES = 10;
const MAX_RETRYING_MS = 90_000;

/**
 * Follows what running agents tell: their conversation is stored as soon as they name it, and one that does nothing but
 * try again is ended. What it misses while no daemon runs is in the log, which is read again from where the run began.
 */
export class RunFollower {
  readonly #context: TaskContext;
  readonly #closer: TaskCloser;
  /** By run: the one before may still be looked at when the next begins. */
  readonly #summaries = new Map<number, RunSummary>();

  constructor(context: TaskContext, deps: { readonly closer: TaskCloser }) {
    this.#context = context;
    this.#closer = deps.closer;
  }

  /** What a running run came to so far. */
  summaryOf(run: number): RunSummary | undefined {
    return this.#summaries.get(run);
  }

  /** Until the run has ended, or the signal fires. Once is enough: a second call for the same run returns at once. */
  async follow(task: Task, signal: AbortSignal): Promise<void> {
    const { store, clock, evidences, transcripts } = this.#context;
    const run = store.runs.last(task.id);
    if (run === undefined || run.endedAt !== undefined || this.#summaries.has(run.id)) return;
    this.#summaries.set(run.id, EMPTY_SUMMARY);
    try {
      const log = { ...(await evidences.logOf(task)), hasEnded: false };
      let cursor = store.origin(task.id)?.logOffset ?? 0;
      let summary = EMPTY_SUMMARY;
      let { session } = run;
      while (!signal.aborted && this.#isRunning(task, run.id)) {
        const page = await transcripts.events(log, { cursor, maxEvents: EVENTS_AT_ONCE });
        // What was read meanwhile may be the next run's, and what is stored for this one is its end's to say.
        if (!this.#isRunning(task, run.id)) return;
        summary = transcripts.fold(summary, page.events, log);
        this.#summaries.set(run.id, summary);
        if (summary.session !== undefined && summary.session !== session) {
          session = summary.session;
          store.setSession(task.id, run.id, session);
        }
        const reason = whyHopeless(summary, clock.now());
        if (reason !== undefined) return await this.#end(task, run.id, reason);
        if (page.nextCursor === cursor) await clock.sleep(POLL_MS, signal).catch(() => undefined);
        cursor = page.nextCursor;
      }
    } finally {
      this.#summaries.delete(run.id);
    }
  }

  #isRunning({ id }: Task, run: number): boolean {
    const { store } = this.#context;
    const task = store.get(id);
    return task !== undefined && isUp(task) && store.runs.last(id)?.id === run;
  }

  /** The reason is stored before anything is stopped: whoever finishes this knows it, after a crash as well. */
  async #end(task: Task, run: number, failure: string): Promise<void> {
    const { store, mutex } = this.#context;
    await mutex.run(task.id, async () => {
      if (!this.#isRunning(task, run)) return;
      await this.#closer.stop(store.update(task.id, { failure }));
    });
  }
}

/** Why a run that only tries again is given up, in our own words; undefined while there is hope. */
export function whyHopeless(summary: RunSummary, now: Date): string | undefined {
  const { retries, retryReason, retryingSince } = summary;
  const retryingMs = retryingSince === undefined ? 0 : now.getTime() - Date.parse(retryingSince);
  if (retries <= MAX_RETRIES && (retries === 0 || retryingMs <= MAX_RETRYING_MS)) return undefined;
  // What the container printed is told apart from our words; of that, a number says nothing but itself.
  const status = /\bHTTP ([1-5][0-9]{2})\b/.exec(retryReason ?? '')?.[1];
  const answer = status === undefined ? '' : ` (HTTP ${status})`;
  return `its model could not be used${answer}: the agent only tried again (${retries})`;
}
