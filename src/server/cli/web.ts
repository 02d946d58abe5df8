import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';
import { startOptions, toInteger, toStart } from './start-options.ts';

export const web: Command = {
  usage:
    'web (<repo> | --project <id>) [--port <n>] [--public-url <url>] [--branch <name>] [--name <label>] [--no-gate] [--restricted] [--gpu]',
  summary: 'Start the web program in a task and print its address, whose token lets in whoever has it.',
  run: async (args, { host, output, withDaemon }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { ...startOptions, port: { type: 'string' }, 'public-url': { type: 'string' } },
      { names: [], optional: ['<repo>'] },
    );
    const task = {
      mode: 'web' as const,
      ...toStart(values, positionals[0], host),
      web: {
        port: toInteger('--port', values.port, { min: 1024, max: 65_535 }),
        publicUrl: values['public-url'],
      },
    };
    const interrupted = new AbortController();
    host.onSignal(() => interrupted.abort());
    const started = await withDaemon(
      async (client) =>
        await client.call(control.tasksStart, task, {
          signal: interrupted.signal,
          onProgress: (line) => output.note(`· ${line}`),
        }),
    );
    for (const warning of started.warnings) output.note(`! ${warning}`);
    const { id } = started.task;
    output.note(
      `Task ${id}. "terok-mcp task open ${id}" makes a new address, "terok-mcp task stop ${id}" ends it.`,
    );
    output.line(started.webUrl ?? '');
    return 0;
  },
};
