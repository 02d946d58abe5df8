import { CancelledError } from '../../runtime/core/errors.ts';
import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';
import { describeRun, showLog } from './follow.ts';
import { toInteger } from './start-options.ts';

export const logs: Command = {
  usage: 'logs <task> [-f] [--raw] [--tail <n>]',
  summary:
    'Show what a task says and does; -f goes on until it ends, --raw shows the lines as they were printed.',
  run: async (args, context) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { follow: { type: 'boolean', short: 'f' }, raw: { type: 'boolean' }, tail: { type: 'string' } },
      { names: ['<task>'] },
    );
    const [id = ''] = positionals;
    const { raw, follow } = values;
    const tail = toInteger('--tail', values.tail, { min: 1, max: 10_000 }) ?? 200;
    const { output, host, withDaemon } = context;
    const { lines, nextCursor } = await withDaemon(
      async (client) => await client.call(control.tasksLogs, { id, tail, raw }),
    );
    for (const line of lines) output.line(line);
    if (follow !== true) return 0;
    const interrupted = new AbortController();
    host.onSignal(() => interrupted.abort());
    const { signal } = interrupted;
    try {
      const { run } = await showLog(context, { id, cursor: nextCursor, raw, signal });
      if (run !== null) output.note(describeRun(run));
    } catch (error) {
      // Whoever stops looking has seen enough.
      if (!(error instanceof CancelledError && signal.aborted)) throw error;
    }
    return 0;
  },
};
