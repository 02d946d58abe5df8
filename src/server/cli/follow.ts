import { setTimeout as delay } from 'node:timers/promises';
import { CancelledError, HostError } from '../../runtime/core/errors.ts';
import { ConnectionLostError, type ControlClient } from '../control/control-client.ts';
import { control } from '../control/control-protocol.ts';
import type { RunRecord, StartedRecord, TaskDetails } from '../control/task-methods.ts';
import type { ExitCode } from '../host.ts';
import type { CommandContext } from './command.ts';
import type { Output } from './output.ts';
import { lookPatiently } from './patient-look.ts';

const FOLLOW_INTERVAL_MS = 300;
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
  let id: string | undefined;
  try {
    const { cursor, started } = await withDaemon(async (client) => {
      const begin = await follow.cursor(client);
      const onProgress = (line: string) => output.note(`· ${line}`);
      return { cursor: begin, started: await follow.start(client, { signal, onProgress }) };
    });
    const { task, warnings } = started;
    id = task.id;
    for (const warning of warnings) output.note(`! ${warning}`);
    if (!follow.isFollowed) {
      output.line(id);
      return 0;
    }
    output.note(`Task ${id} (${task.agent})`);
    return conclude(output, await showLog(context, { id, cursor, signal }));
  } catch (error) {
    const isInterrupted = error instanceof CancelledError && signal.aborted;
    if (id !== undefined && (isInterrupted || error instanceof HostError))
      output.note(
        `Task ${id} goes on: "terok-mcp logs -f ${id}" shows it, "terok-mcp task stop ${id}" ends it.`,
      );
    if (id === undefined && (isInterrupted || error instanceof ConnectionLostError))
      output.note(
        `${isInterrupted ? 'Given up before the task ran' : 'Whether the task runs is not known'} ("terok-mcp task list" shows what is there).`,
      );
    if (!isInterrupted) throw error;
    return INTERRUPTED;
  }
}

/**
 * Prints what a task says from a place in its log on until it has ended, whatever becomes of the daemon meanwhile, and
 * gives what came of it. Throws CancelledError when interrupted.
 */
export async function showLog(
  context: CommandContext,
  log: {
    readonly id: string;
    readonly cursor: number;
    readonly raw?: boolean | undefined;
    readonly signal: AbortSignal;
  },
): Promise<TaskDetails> {
  const { id, raw, signal } = log;
  let { cursor } = log;
  return await lookPatiently(context, signal, async (client) => {
    for (;;) {
      const page = await client.call(control.tasksLogs, { id, cursor, tail: 1, raw }, { signal });
      for (const line of page.lines) context.output.line(line);
      cursor = page.nextCursor;
      if (page.isComplete) return await client.call(control.tasksShow, { id }, { signal });
      if (page.lines.length === 0)
        await delay(FOLLOW_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  });
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
