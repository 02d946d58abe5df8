import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';
import { startAndFollow } from './follow.ts';
import { loadPrompt, promptOptions } from './prompt-loader.ts';
import { runOptions, toRun } from './start-options.ts';

export const followUp: Command = {
  usage:
    'follow-up <task> (-p <prompt> | -p - | --prompt-file <file>) [--fresh] [--model <name>] [--max-turns <n>] [--timeout <s>] [--no-follow]',
  summary:
    'Give a headless task that has ended another prompt, in the same conversation (--fresh: in a new one).',
  run: async (args, context) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { ...runOptions, ...promptOptions, fresh: { type: 'boolean' }, 'no-follow': { type: 'boolean' } },
      { names: ['<task>'] },
    );
    const [id = ''] = positionals;
    const how = { id, fresh: values.fresh, ...toRun(values) };
    const prompt = await loadPrompt(values, context.host);
    return await startAndFollow(context, {
      isFollowed: values['no-follow'] !== true,
      // What the earlier runs said has been seen.
      cursor: async (client) => (await client.call(control.tasksLogs, { id, tail: 1 })).nextCursor,
      start: async (client, call) => await client.call(control.tasksFollowUp, { ...how, prompt }, call),
    });
  },
};
