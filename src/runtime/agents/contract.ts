import { z } from 'zod';
import type { RunSettings } from '../config/contract.ts';

/** The vocabulary of `resources/agents/*.yaml` and of a person's own files beside `config.yml`. */

export const AgentName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'lower-case letters, digits and "-", at most 32')
  .describe('Name by which tools and projects choose it; the file is called after it.');

/** Variables that say who commits, where the gate is and what runs first: no file of the roster moves them. */
const environmentName = z
  .string()
  .regex(
    /^(?!(?:PATH|HOME|ENV|BASH_ENV|LD_PRELOAD|TASK_ID|PROJECT_NAME|REPO_ROOT|CODE_REPO|GIT_(?:BRANCH|RESET_MODE|DIR|WORK_TREE|INDEX_FILE|CONFIG.*|(?:AUTHOR|COMMITTER)_.*)|HUMAN_GIT_.*|TEROK_(?:SERVICES|GATE_PORT|RELAY|RELAY_PORT|UNRESTRICTED|AGENT|GIT_AUTHORSHIP))$)[A-Za-z_][A-Za-z0-9_]{0,127}$/,
    'a variable name, and none that terok-mcp sets itself',
  );
const environmentMap = z.record(environmentName, z.string().max(20_000));
/** Program arguments; `{name}` marks a place that is filled in. Never a shell. */
const argv = z.array(z.string().max(20_000));
const programArgv = argv.min(1);
const absolutePath = z
  .string()
  .regex(
    /^(?:\/(?!\.{1,2}(?:\/|$))[^\0\n:,/]+)+$/,
    'an absolute path without "..", ":" or "," and in its shortest form',
  );
/** A file that is mounted there by itself. */
const mountPath = absolutePath.regex(
  /^(?!\/(?:(?:proc|sys|dev|workspace|run\/terok|etc\/terok|home\/dev\/\.terok)(?:\/|$)|(?:etc|home|home\/dev|run|usr|var|tmp|etc\/(?:passwd|group|shadow|gshadow|sudoers|hosts|hostname|resolv\.conf))$))/,
  'a place that is not needed for something else',
);
const relativePath = z
  .string()
  .regex(
    /^(?!\.{1,2}(?:\/|$))[^\0\n/]+(?:\/(?!\.{1,2}(?:\/|$))[^\0\n/]+)*$/,
    'a relative path without ".." and in its shortest form',
  );
const pathSegment = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'one path segment');
const programName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'a program name');
const packageName = z
  .string()
  .regex(/^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/, 'a package name');
const version = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+_~-]{0,63}$/, 'one exact version');
const httpsUrl = z.string().regex(/^https:\/\/[A-Za-z0-9.-]+(?::[0-9]+)?(?:\/[^\s]*)?$/, 'an https URL');
const hostName = z.string().regex(/^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, 'a host name');

/** How the packages of an agent get into the image. Everything runs as root, at build time, before any task. */
const Install = z
  .strictObject({
    requires: z.array(AgentName).default([]).describe('Agents that must be installed as well.'),
    bundled: z
      .array(programName)
      .default([])
      .describe('Programs of resources/container/ for /usr/local/bin.'),
    programs: z
      .record(programName, z.string().max(256 * 1024))
      .default({})
      .describe('Programs by name, written out here, for /usr/local/bin. Begin with "#!".'),
    apt: z.array(packageName).default([]).describe('Packages of Debian and its derivatives.'),
    rpm: z.array(packageName).default([]).describe('Packages of Fedora and its derivatives.'),
    npm: z
      .record(
        packageName,
        z.strictObject({
          version,
          bin: z.array(programName).default([]).describe('Its programs to put on the PATH.'),
          omit_optional: z
            .boolean()
            .default(false)
            .describe(
              'Leave out optional dependencies, like a second copy of a program that is there anyway.',
            ),
        }),
      )
      .default({}),
    pip: z
      .record(packageName, z.strictObject({ version, bin: z.array(programName).default([]) }))
      .default({})
      .describe('Python packages, each in a virtual environment of its own.'),
    shell: z
      .string()
      .max(64 * 1024)
      .optional()
      .describe('Commands for sh -eu, last, as root, where no package manager offers it.'),
  })
  .describe('How it gets into the image.');

const CredentialKind = z.enum(['oauth', 'api_key']);
export type CredentialKind = z.infer<typeof CredentialKind>;

const HeaderRule = z.strictObject({
  header: z.string().min(1).describe('Header that carries the real credential.'),
  prefix: z.string().default('').describe('Before the credential, like "Bearer ".'),
  extra: z.record(z.string(), z.string()).default({}).describe('More headers for this kind of credential.'),
});

/** Where the credential proxy sends an agent's API calls, and how it signs them. */
const Route = z.strictObject({
  prefix: pathSegment.describe('First path segment at the proxy; unique in the roster.'),
  upstream: httpsUrl,
  paths: z
    .record(z.string().startsWith('/'), httpsUrl)
    .default({})
    .describe('Other upstreams by path prefix.'),
  auth: z.partialRecord(CredentialKind, HeaderRule),
  websocket: z.boolean().default(false),
  refresh: z
    .strictObject({ token_url: httpsUrl, client_id: z.string().min(1), scope: z.string().optional() })
    .optional()
    .describe('How an OAuth token is renewed, on the host.'),
});

/**
 * What the container sees in place of a secret: values may use {token}, {base_url}, {base_address} (the same
 * without "http://") and {socket}.
 */
const Phantom = z.strictObject({
  env: environmentMap.default({}),
  files: z.array(z.strictObject({ path: mountPath, content: z.string() })).default([]),
});

/** How a real credential is read from what a login left behind. */
const Extract = z.strictObject({
  kind: CredentialKind,
  file: relativePath,
  format: z.enum(['json', 'yaml', 'toml', 'dotenv']),
  fields: z
    .record(z.string(), z.string().startsWith('/'))
    .describe('Credential field to JSON pointer; "*" matches any key.'),
  prefer: z.array(z.string()).default([]).describe('Which key "*" takes first.'),
  milliseconds: z.array(z.string()).default([]).describe('Fields that hold JavaScript timestamps.'),
});

const Auth = z.strictObject({
  modes: z.array(CredentialKind).min(1),
  directory: z
    .strictObject({ host: pathSegment, container: absolutePath })
    .optional()
    .describe(
      'Where a login leaves its files: a directory of the host, mounted at this path for the login alone.',
    ),
  login: z
    .strictObject({ command: programArgv, publish: z.array(z.string()).default([]) })
    .optional()
    .describe("The vendor's own login, and ports of the host's loopback it needs."),
  hint: z.string().optional().describe('Shown before a login.'),
  api_key_hint: z.string().optional().describe('Where one gets an API key.'),
  credential_file: relativePath
    .optional()
    .describe('File of that directory that would hold a real secret: it must never be seen in a task.'),
  extract: z.array(Extract).default([]),
  after_login: z
    .record(relativePath, z.record(z.string(), z.json()))
    .default({})
    .describe('JSON merged into files of the directory, so that the first start asks nothing.'),
});

/** Says whether an agent asks before it acts. Files are written by the host and read-only in the container. */
const Approval = z.discriminatedUnion('via', [
  z.strictObject({ via: z.literal('file'), path: mountPath, content: z.string() }),
  z.strictObject({ via: z.literal('env'), env: environmentMap }),
  z.strictObject({
    via: z.literal('args'),
    args: argv.min(1).describe('In front of all others, unless the first of them is given already.'),
  }),
]);

/** How an agent is told the instructions of a task. */
const Instructions = z.discriminatedUnion('via', [
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
const Session = z.discriminatedUnion('id', [
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

const holes = (args: readonly string[]): readonly string[] =>
  args.flatMap((argument) => [...argument.matchAll(/\{([a-z_]+)\}/g)].map((match) => match[1] ?? ''));

const Headless = z
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
  })
  .superRefine(({ command, resume, options }, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    for (const [key, args] of Object.entries({ command, resume })) {
      if (args === undefined) continue;
      const unknown = holes(args).filter((hole) => hole !== 'options' && hole !== 'session');
      if (unknown.length > 0) issue([key], `{${unknown[0]}} is not filled in here`);
      if (args.filter((argument) => argument === '{options}').length > 1)
        issue([key], '{options} stands there twice');
      if (Object.keys(options).length > 0 && !args.includes('{options}')) issue([key], 'needs {options}');
    }
    if (resume !== undefined && !holes(resume).includes('session')) issue(['resume'], 'needs {session}');
    const fillings = { model: 'model', max_turns: 'max_turns', subagents: 'file' } as const;
    for (const [option, hole] of Object.entries(fillings)) {
      const args =
        option === 'model' ? options.model : option === 'max_turns' ? options.max_turns : options.subagents;
      if (args !== undefined && !holes(args).includes(hole)) issue(['options', option], `needs {${hole}}`);
    }
  });

/** OpenCode with another endpoint. */
const OpenCode = z.strictObject({
  display_name: z.string().min(1),
  base_url: httpsUrl,
  preferred_model: z.string().min(1),
  fallback_model: z.string().min(1),
  key_env: environmentName.describe('Variable that holds the (phantom) key.'),
  config_dir: relativePath,
});

const base = {
  name: AgentName,
  title: z.string().min(1).max(80),
  description: z.string().min(1).max(500),
  binary: programName.describe('The program that is run.'),
  install: Install,
  probe: programArgv
    .optional()
    .describe('Proves the installation; prints the version. Absent: only that the binary is there.'),
  auth: Auth.optional(),
  route: Route.optional(),
  phantom: z.partialRecord(CredentialKind, Phantom).default({}),
  egress: z.array(hostName).default([]).describe('Hosts it needs besides the proxy.'),
  files: z
    .array(z.strictObject({ path: mountPath, content: z.string() }))
    .default([])
    .describe(
      'Always there, written by the host and read-only: telemetry and self-update off, for instance.',
    ),
};

const Agent = z
  .strictObject({
    kind: z.literal('agent'),
    ...base,
    verified_with: version.optional().describe('Version that its flags were checked with.'),
    git: z.strictObject({ name: z.string().min(1).max(100), email: z.string().regex(/^[^\s<>]+@[^\s<>]+$/) }),
    headless: Headless,
    session: Session.default({ id: 'none' }),
    events: z
      .strictObject({
        format: z.enum(['claude', 'codex', 'opencode', 'copilot', 'gemini', 'qwen', 'text']),
        exit_code_is_reliable: z.boolean(),
      })
      .default({ format: 'text', exit_code_is_reliable: true }),
    env: environmentMap.default({}).describe('Always set: telemetry and self-update off, for instance.'),
    unrestricted: z.array(Approval).default([]).describe('Lets it work without asking.'),
    restricted: z
      .array(Approval)
      .default([])
      .describe('Keeps it asking in a restricted task, whatever the repository says.'),
    instructions: Instructions.default({ via: 'prompt' }),
    acp: z
      .strictObject({
        command: programArgv,
        env: environmentMap.default({}),
        instructions: z.enum(['session_meta', 'same', 'none']).default('same'),
      })
      .optional(),
    opencode: OpenCode.optional(),
    session_hook: z.boolean().default(false).describe("Takes Claude's SessionStart hook."),
    refuse: z
      .array(programArgv)
      .default([])
      .describe(
        'First arguments its wrapper refuses, like [auth, login]: credentials are managed on the host.',
      ),
  })
  .superRefine((agent, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    for (const [key, [program]] of Object.entries({
      command: agent.headless.command,
      resume: agent.headless.resume ?? [agent.binary],
    }))
      if (program !== agent.binary) issue(['headless', key], `begins with "${agent.binary}", the binary`);
    if (agent.headless.resume !== undefined && agent.session.id === 'none')
      issue(['session'], 'headless.resume needs to know where the session id comes from');
    if (agent.headless.resume === undefined && agent.session.id !== 'none')
      issue(['headless', 'resume'], 'is missing, though the session id is known');
    for (const kind of Object.keys(agent.phantom))
      if (agent.route === undefined || !Object.keys(agent.route.auth).includes(kind))
        issue(['phantom', kind], 'route.auth has no rule for this kind of credential');
    const phantoms = JSON.stringify(agent.phantom);
    if (phantoms.includes('{socket}') && !phantoms.includes('{base_url}'))
      issue(['phantom'], 'a socket needs a plain-HTTP base URL as well');
  });

const Tool = z.strictObject({
  kind: z.literal('tool'),
  ...base,
  sidecar: z
    .strictObject({ env: z.record(environmentName, z.string()).describe('Variable to credential field.') })
    .optional()
    .describe('Runs alone, in an image without agents, and gets the real credential.'),
});

/** One file of the roster: everything about an agent or tool that is data. */
export const RosterFile = z.discriminatedUnion('kind', [Agent, Tool]);
export type RosterEntry = z.infer<typeof RosterFile>;
export type AgentFile = z.infer<typeof Agent>;
export type ToolFile = z.infer<typeof Tool>;
export type AgentInstall = z.infer<typeof Install>;

/** A person's own file that cannot be used. */
export interface AgentProblem {
  readonly name: string;
  /** With file, line and key. */
  readonly problem: string;
}

export interface Roster {
  /** By name. */
  readonly entries: readonly RosterEntry[];
  /** A bundled entry stays among the former while the file that is to change it is among these. */
  readonly broken: readonly AgentProblem[];
}

/** A file the host writes for one task; read-only in the container. */
export interface AgentConfigFile {
  /** Below the task's agent-config directory, which is mounted read-only at AGENT_CONFIG. */
  readonly path: string;
  readonly content: string;
  readonly isExecutable: boolean;
  /** Where it is mounted besides, like /etc/claude-code/managed-settings.json. */
  readonly mountedAt: string | undefined;
}

/** Where a task's read-only configuration lies in its container. */
export const AGENT_CONFIG = '/etc/terok';

export interface Person {
  readonly name: string;
  readonly email: string;
}

export const Authorship = z.enum(['agent-human', 'human-agent', 'agent', 'human']);
export type Authorship = z.infer<typeof Authorship>;

export interface AgentRunInput {
  readonly agent: AgentFile;
  /** All agents of the roster: wrappers and approvals are there for each, whoever starts it. */
  readonly roster: readonly RosterEntry[];
  readonly settings: RunSettings;
  readonly isRestricted: boolean;
  readonly authorship: Authorship;
  /** The person, where known. */
  readonly human: Person | undefined;
  /** Absent: nothing headless is run. */
  readonly prompt: string | undefined;
  /** Conversation to go on with; absent: a new one. */
  readonly session: string | undefined;
}

/** One run of an agent as values: nothing has been written or started. */
export interface AgentRun {
  /** Program and arguments of the headless run; undefined without a prompt. No prompt and no secret among them. */
  readonly command: readonly string[] | undefined;
  /** What the agent reads on standard input: the prompt, with what had no better way in front of or behind it. */
  readonly prompt: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly AgentConfigFile[];
  /** Id chosen by us for a new conversation; undefined where the agent chooses or has none. */
  readonly session: string | undefined;
  /** What was asked for and this agent cannot do, in our own words. */
  readonly warnings: readonly string[];
}

export interface Agents {
  /** All agents and tools as the files are now. */
  roster(): Promise<Roster>;
  /** Throws NotFoundError with the nearest names, or InvalidInputError (file, line, key) for a broken file. */
  agent(name: string): Promise<AgentFile>;
  /** The same for a tool. */
  tool(name: string): Promise<ToolFile>;
  /** Settles how an agent is run (pure but for a fresh session id). Throws InvalidInputError for a contradiction. */
  plan(input: AgentRunInput): AgentRun;
}
