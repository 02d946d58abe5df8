import { z } from 'zod';
import {
  argv,
  environmentMap,
  environmentName,
  httpsUrl,
  mountPath,
  programArgv,
  relativePath,
} from './field-schemas.ts';

/** JSON files below /home/dev, by path. */
export const FirstState = z.record(relativePath, z.json());

/** Says whether an agent asks before it acts. Files are written by the host and read-only in the container. */
export const Approval = z.discriminatedUnion('via', [
  z.strictObject({ via: z.literal('file'), path: mountPath, content: z.string() }),
  z.strictObject({ via: z.literal('env'), env: environmentMap }),
  z.strictObject({
    via: z.literal('args'),
    args: argv.min(1).describe('In front of all others, unless the first of them is given already.'),
  }),
  z.strictObject({
    via: z.literal('first_state'),
    files: FirstState.describe('Laid over those of `first_state`.'),
  }),
]);

/** How an agent is told the instructions of a task. */
export const Instructions = z.discriminatedUnion('via', [
  z.strictObject({
    via: z.literal('args'),
    args: argv
      .min(1)
      .describe(
        '{file} is the path of the instructions in the container. Must stand anywhere before a subcommand.',
      ),
  }),
  z.strictObject({
    via: z.literal('toml'),
    path: mountPath.describe('The read-only file that gets `key = "…"`.'),
    key: z.string().regex(/^[a-z_]+$/),
  }),
  z
    .strictObject({ via: z.literal('opencode') })
    .describe('An entry in the `instructions` of its opencode.json.'),
  z.strictObject({
    via: z.literal('env_dir'),
    env: environmentName,
    file: relativePath.describe('What the file is called in the directory that the variable names.'),
  }),
  z.strictObject({ via: z.literal('prompt') }).describe('In front of the prompt: it has no better way.'),
]);

/** Where the id of a conversation comes from, so that a follow-up can go on with it. */
export const Session = z.discriminatedUnion('id', [
  z
    .strictObject({
      id: z.literal('host'),
      not_found: z
        .string()
        .min(1)
        .optional()
        .describe('What it says of an id it does not know; absent: it makes one.'),
    })
    .describe('We choose a UUID.'),
  z
    .strictObject({
      id: z.literal('event'),
      type: z.string().optional().describe('Type of the event that has it; absent: any event.'),
      pointer: z.string().startsWith('/'),
      not_found: z.string().min(1),
    })
    .describe('It names the id in its output.'),
  z
    .strictObject({
      id: z.literal('file'),
      file: relativePath.describe('A path segment "*" matches any; the newest file counts.'),
      pointer: z
        .string()
        .startsWith('/')
        .optional()
        .describe('Where it stands in JSON; absent: it is all there is.'),
      not_found: z.string().min(1),
    })
    .describe('A file below /home/dev that holds it.'),
  z.strictObject({ id: z.literal('none') }).describe('It cannot go on with an earlier conversation.'),
]);

export const holesOf = (args: readonly string[]): readonly string[] =>
  args.flatMap((argument) => [...argument.matchAll(/\{([a-z_]+)\}/g)].map((match) => match[1] ?? ''));

export const Headless = z
  .strictObject({
    command: programArgv.describe(
      'A new conversation. {options} is replaced by the flags below; {session} by an id.',
    ),
    resume: programArgv.optional().describe('Going on with one; needs {session}.'),
    prompt: z.literal('stdin').default('stdin').describe('On standard input, byte for byte.'),
    options: z
      .strictObject({
        model: argv.min(1).optional().describe('Flags with {model}.'),
        max_turns: argv.min(1).optional().describe('Flags with {max_turns}.'),
        subagents: argv.min(1).optional().describe('Flags with {file}, the JSON of the sub-agents.'),
      })
      .prefault({}),
    model_env: environmentName.optional().describe('Variable that names the model, where no flag does.'),
    env: environmentMap.default({}),
    log_env: environmentName
      .optional()
      .describe('Variable that names a file for what it tells nowhere else: it becomes part of its output.'),
  })
  .superRefine(({ command, resume, options }, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    for (const [key, args] of Object.entries({ command, resume })) {
      if (args === undefined) continue;
      const unknown = holesOf(args).filter((hole) => hole !== 'options' && hole !== 'session');
      if (unknown.length > 0) issue([key], `{${unknown[0]}} is not filled in here`);
      if (args.filter((argument) => argument === '{options}').length > 1)
        issue([key], '{options} stands there twice');
      if (Object.keys(options).length > 0 && !args.includes('{options}')) issue([key], 'needs {options}');
    }
    if (resume !== undefined && !holesOf(resume).includes('session')) issue(['resume'], 'needs {session}');
    const fillings = { model: 'model', max_turns: 'max_turns', subagents: 'file' } as const;
    for (const [option, hole] of Object.entries(fillings)) {
      const args =
        option === 'model' ? options.model : option === 'max_turns' ? options.max_turns : options.subagents;
      if (args !== undefined && !holesOf(args).includes(hole)) issue(['options', option], `needs {${hole}}`);
    }
  });

/** OpenCode with another endpoint, which speaks OpenAI's Chat Completions. */
export const OpenCode = z.strictObject({
  display_name: z.string().min(1),
  base_url: httpsUrl
    .optional()
    .describe("Absent: OpenCode's own providers, but where its API calls are sent elsewhere."),
  preferred_model: z.string().min(1),
  fallback_model: z.string().min(1),
  key_env: environmentName.describe('Variable that holds the (phantom) key.'),
  config_dir: relativePath,
});
