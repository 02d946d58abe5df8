import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { LogPage, LogRequest, Tasks } from '../../runtime/tasks/contract.ts';
import { defineTextTool } from '../define-tool.ts';
import { maxCharsField, taskField, waitField } from '../fields.ts';
import { lastLines, untrustedBlock } from '../untrusted-block.ts';

const POLL_MS = 250;

export const taskLogs = defineTextTool({
  name: 'task_logs',
  title: 'Output of a task',
  description:
    'What a task said and did, one line each. The first line has next_cursor: pass it as cursor for what came since.',
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({
    task: taskField,
    tail: z.int().min(1).max(500).default(60).describe('Last lines, without a cursor.'),
    cursor: z.int().min(0).optional().describe('From an earlier answer.'),
    contains: z.string().min(1).max(200).optional().describe('Only lines with this text.'),
    raw: z.boolean().optional().describe('As printed.'),
    wait_s: waitField,
    max_chars: maxCharsField,
  }),
  handler: async (
    { task: id, tail, cursor, contains, raw, wait_s: waitS, max_chars: maxChars },
    { runtime, signal },
  ) => {
    const task = runtime.tasks.get(id).id;
    const page = await waitForLines(
      runtime.tasks,
      { task, tail, cursor, contains, raw, maxChars },
      { waitMs: waitS * 1000, signal },
    );
    const header = `# task=${task} next_cursor=${page.nextCursor} complete=${page.isComplete}`;
    if (page.lines.length === 0) {
      const what = cursor === undefined ? 'printed yet' : 'new';
      return { text: `${header}\n(nothing ${contains === undefined ? what : `${what} with that text`})` };
    }
    return { text: `${header}\n${untrustedBlock(`output of ${task}`, lastLines(page.lines, maxChars))}` };
  },
});

/** Asks again from where the last page ended until there is something to show, or nothing more can come. */
async function waitForLines(
  tasks: Tasks,
  request: LogRequest,
  options: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<LogPage> {
  const deadline = Date.now() + options.waitMs;
  let page = await tasks.logs(request);
  while (page.lines.length === 0 && !page.isComplete && Date.now() < deadline && !options.signal.aborted) {
    await delay(POLL_MS, undefined, { signal: options.signal });
    page = await tasks.logs({ ...request, cursor: page.nextCursor });
  }
  return page;
}
