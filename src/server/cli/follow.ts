import { setTimeout as delay } from 'node:timers/promises';
import { CancelledError, HostError } from '../../runtime/core/errors.ts';
import type { ControlClient } from '../control/control-client.ts';
import { control } from '../control/control-protocol.ts';
import type { RunRecord, StartedRecord, TaskDetails } from '../control/task-methods.ts';
import type { ExitCode } from '../host.ts';
import type { CommandContext } from './command.ts';
import type { Output } from './output.ts';

const FOLLOW_INTERVAL_MS = 300;
const FOLLOW_LINES = 200;
/** What shells say of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

interface Follow {
  readonly isFollowed: boolean;
  /** Where in the log what is to be shown begins. */
  readonly cursor: (client: ControlClient) => Promise<number>;
  readonly start: (
    client: ControlClient,
    call: { readonly signal: AbortSignal; readonly onProgress: (line: string) => void },
  ) => Promise<StartedRecord>;
}

/**
 * Starts a run and shows what happens until it ends; the exit code is the agent's, and 0 for `completed` alone.
 * Ctrl-C ends the showing and not the run; before the task runs, it gives the task up.
 */
export async function startAndFollow(context: CommandContext, follow: Follow): Promise<ExitCode> {
  const { host, output, withDaemon } = context;
  const interrupted = new AbortController();
  host.onSignal(() => interrupted.abort());
  const { signal } = interrupted;
  return await withDaemon(async (client) => {
    let id: string | undefined;
    try {
      const cursor = await follow.cursor(client);
      const { task, warnings } = await follow.start(client, {
        signal,
        onProgress: (line) => output.note(`· ${line}`),
      });
      id = task.id;
      for (const warning of warnings) output.note(`! ${warning}`);
      if (!follow.isFollowed) {
        output.line(id);
        return 0;
      }
      output.note(`Task ${id} (${task.agent})`);
      await showLog(client, { id, cursor, output, signal });
      return conclude(output, await client.call(control.tasksShow, { id }, { signal }));
    } catch (error) {
      if (id !== undefined && (error instanceof CancelledError || error instanceof HostError))
        output.note(
          `Task ${id} goes on: "terok-mcp logs -f ${id}" shows it, "terok-mcp task stop ${id}" ends it.`,
        );
      if (!(error instanceof CancelledError && signal.aborted)) throw error;
      if (id === undefined)
        output.note('Given up before the task ran ("terok-mcp task list" shows what is there).');
      return INTERRUPTED;
    }
  });
}

/** Prints what a task says until it has ended. Throws CancelledError when interrupted. */
export async function showLog(
  client: ControlClient,
  log: {
    readonly id: string;
    readonly cursor: number | undefined;
    readonly tail?: number;
    readonly raw?: boolean | undefined;
    readonly output: Output;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { id, raw, output, signal, tail = FOLLOW_LINES } = log;
  let { cursor } = log;
  for (;;) {
    const page = await client.call(control.tasksLogs, { id, cursor, tail, raw }, { signal });
    for (const line of page.lines) output.line(line);
    if (page.isComplete) return;
    cursor = page.nextCursor;
    if (page.lines.length === 0)
      await delay(FOLLOW_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
}

function conclude(output: Output, { id, state, exitCode, failure, run, branches }: TaskDetails): ExitCode {
  if (run !== null) output.note(describeRun(run));
  for (const { branch, ahead } of branches) output.note(`Pushed ${branch} (${ahead} commits ahead)`);
  if (state === 'completed') return 0;
  const code = exitCode === null ? '' : ` with exit code ${exitCode}`;
  const outcome = state === 'failed' ? `failed${failure === null ? code : `: ${failure}`}` : `is ${state}`;
  output.note(`terok-mcp: task ${id} ${outcome}`);
  return exitCode !== null && exitCode > 0 && exitCode < 256 ? exitCode : 1;
}

/** One line: `run 2: 3 turns, 5 tool calls, 1200 tokens in (1000 cached), 340 out, $0.0213`. */
export function describeRun({ number, summary }: RunRecord): string {
  const { turns, toolCalls, usage, deniedCount } = summary;
  const parts = [
    ...(turns === undefined ? [] : [count(turns, 'turn')]),
    count(toolCalls, 'tool call'),
    ...(deniedCount === 0 ? [] : [`${deniedCount} denied`]),
    ...(usage === undefined
      ? []
      : [`${usage.inputTokens} tokens in (${usage.cachedInputTokens} cached), ${usage.outputTokens} out`]),
    ...(usage?.costUsd === undefined ? [] : [`$${usage.costUsd.toFixed(4)}`]),
  ];
  return `Run ${number}: ${parts.join(', ')}`;
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
