import { CancelledError } from '../../runtime/core/errors.ts';
import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';
import { describeRun, showLog } from './follow.ts';
import { toInteger } from './start-options.ts';

export const logs: Command = {
  usage: 'logs <task> [-f] [--raw] [--tail <n>]',
  summary:
    'Show what a task says and does; -f goes on until it ends, --raw shows the lines as they were printed.',
  run: async (args, { withDaemon, output, host }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { follow: { type: 'boolean', short: 'f' }, raw: { type: 'boolean' }, tail: { type: 'string' } },
      { names: ['<task>'] },
    );
    const [id = ''] = positionals;
    const { raw, follow } = values;
    const tail = toInteger('--tail', values.tail, { min: 1, max: 10_000 }) ?? 200;
    const interrupted = new AbortController();
    host.onSignal(() => interrupted.abort());
    const { signal } = interrupted;
    return await withDaemon(async (client) => {
      const page = await client.call(control.tasksLogs, { id, tail, raw }, { signal });
      for (const line of page.lines) output.line(line);
      if (follow !== true) return 0;
      try {
        if (!page.isComplete) await showLog(client, { id, cursor: page.nextCursor, raw, output, signal });
        const { run } = await client.call(control.tasksShow, { id }, { signal });
        if (run !== null) output.note(describeRun(run));
      } catch (error) {
        // Whoever stops looking has seen enough.
        if (!(error instanceof CancelledError)) throw error;
      }
      return 0;
    });
  },
};
