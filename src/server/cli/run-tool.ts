import { DEFAULT_TOOL_TIMEOUT_S, MAX_TIMEOUT_S } from '../../tools/fields.ts';
import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';
import { startAndFollow } from './follow.ts';
import { startOptions, toInteger, toStart } from './start-options.ts';

export const runTool: Command = {
  usage:
    'run-tool <tool> (<repo> | --project <id>) [--timeout <s>] [--branch <name>] [--name <label>] [--no-gate] [--restricted] [--gpu] [--no-follow] [-- <args>...]',
  summary:
    'Run one tool of the roster, with its real credential, in an image without agents; what follows -- is given to it.',
  run: async (args, context) => {
    const end = args.indexOf('--');
    const [own, toolArgs] = end === -1 ? [args, []] : [args.slice(0, end), args.slice(end + 1)];
    const { values, positionals } = parseCommandArgs(
      own,
      { ...startOptions, timeout: { type: 'string' }, 'no-follow': { type: 'boolean' } },
      { names: ['<tool>'], optional: ['<repo>'] },
    );
    const [name = '', repo] = positionals;
    const limits = { min: 1, max: MAX_TIMEOUT_S };
    const task = {
      mode: 'tool' as const,
      ...toStart(values, repo, context.host),
      timeoutS: toInteger('--timeout', values.timeout, limits) ?? DEFAULT_TOOL_TIMEOUT_S,
      tool: { name, args: [...toolArgs] },
    };
    return await startAndFollow(context, {
      isFollowed: values['no-follow'] !== true,
      cursor: async () => 0,
      start: async (client, call) => await client.call(control.tasksStart, task, call),
    });
  },
};
