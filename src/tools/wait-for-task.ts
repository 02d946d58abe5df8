import { setTimeout as delay } from 'node:timers/promises';
import type { Task } from '../runtime/tasks/contract.ts';
import type { ToolContext } from './define-tool.ts';

const POLL_MS = 1000;
const MAX_NEWS_CHARS = 40_000;

/**
 * Waits until a task is as wanted, or its agent says that it is done, blocked or in error; at most `waitS` seconds.
 * Whoever asked for progress hears meanwhile what the task says and does.
 */
export async function waitForTask(
  context: ToolContext,
  id: string,
  wait: { readonly until: (task: Task) => boolean; readonly waitS: number },
): Promise<Task> {
  const { runtime, signal, isWatched } = context;
  const over = new AbortController();
  const telling = isWatched ? tellNews(context, id, AbortSignal.any([signal, over.signal])) : undefined;
  try {
    const options = { until: wait.until, waitMs: wait.waitS * 1000, orWorkStatus: true };
    return await runtime.tasks.waitFor(id, options, signal);
  } finally {
    over.abort();
    await telling;
  }
}

async function tellNews(
  { runtime, progress }: ToolContext,
  task: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (let cursor: number | undefined; ; ) {
      await delay(POLL_MS, undefined, { signal });
      const page = await runtime.tasks.logs({ task, cursor, tail: 1, maxChars: MAX_NEWS_CHARS });
      const latest = page.lines.at(-1);
      if (latest !== undefined && !signal.aborted) progress(latest);
      cursor = page.nextCursor;
    }
  } catch {
    // The wait is over, or there is no news to be had: the answer comes without.
  }
}
