import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';
import { startAndFollow } from './follow.ts';
import { loadPrompt, promptOptions } from './prompt-loader.ts';
import { runOptions, startOptions, toRun, toStart } from './start-options.ts';

/** A headless run straight on a repository, or on a project. */
export const run: Command = {
  usage:
    'run <agent> (<repo> | --project <id>) (-p <prompt> | -p - | --prompt-file <file>) [--branch <name>] [--model <name>] [--max-turns <n>] [--timeout <s>] [--name <label>] [--no-gate] [--restricted] [--gpu] [--no-follow]',
  summary:
    'Give an agent a prompt and watch it work; the exit code is its own. Ctrl-C leaves it working. -p -: the prompt from standard input.',
  run: async (args, context) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { ...startOptions, ...runOptions, ...promptOptions, 'no-follow': { type: 'boolean' } },
      { names: ['<agent>'], optional: ['<repo>'] },
    );
    const [agent, repo] = positionals;
    const task = {
      mode: 'headless' as const,
      agent,
      ...toStart(values, repo, context.host),
      ...toRun(values),
    };
    const prompt = await loadPrompt(values, context.host);
    return await startAndFollow(context, {
      isFollowed: values['no-follow'] !== true,
      cursor: async () => 0,
      start: async (client, call) => await client.call(control.tasksStart, { ...task, prompt }, call),
    });
  },
};
