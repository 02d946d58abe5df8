import { z } from 'zod';
import { AgentName } from '../core/ids.ts';
import { EventFormat } from '../transcript/contract.ts';
import { credentialProblems } from './credential-problems.ts';
import { Auth, CredentialKind, Phantom, Route } from './credential-schemas.ts';
import {
  environmentMap,
  environmentName,
  hostName,
  mountPath,
  programArgv,
  programName,
  relativePath,
  version,
} from './field-schemas.ts';
import { Install } from './install-schema.ts';
import { Approval, FirstState, Headless, holesOf, Instructions, OpenCode, Session } from './run-schemas.ts';

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

/** Below /home/dev, in every task. */
const AGENT_STATE = '.terok';

const isWithin = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(`${directory}/`);

export const Agent = z
  .strictObject({
    kind: z.literal('agent'),
    ...base,
    verified_with: version.optional().describe('Version that its flags were checked with.'),
    git: z.strictObject({ name: z.string().min(1).max(100), email: z.string().regex(/^[^\s<>]+@[^\s<>]+$/) }),
    headless: Headless,
    session: Session.default({ id: 'none' }),
    events: z
      .strictObject({
        format: EventFormat,
        exit_code_is_reliable: z.boolean(),
      })
      .default({ format: 'text', exit_code_is_reliable: true }),
    state: z
      .array(relativePath)
      .default([])
      .describe(
        'Directories below /home/dev that hold its conversations: each task has its own, which outlives its container.',
      ),
    first_state: FirstState.default({}).describe(
      'JSON files below /home/dev, in one of those, put there before the first start.',
    ),
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
    for (const { path, problem } of credentialProblems(agent)) issue(path, problem);
    for (const [index, directory] of agent.state.entries()) {
      if (isWithin(directory, AGENT_STATE))
        issue(['state', String(index)], 'is where all agents of a task write');
      if (agent.state.some((other, at) => at !== index && isWithin(directory, other)))
        issue(['state', String(index)], 'is there already, or below another one');
    }
    const firstFiles = [
      ...Object.keys(agent.first_state).map((path) => ({ path, key: ['first_state', path] })),
      ...(['unrestricted', 'restricted'] as const).flatMap((way) =>
        agent[way].flatMap((approval, index) =>
          approval.via === 'first_state'
            ? Object.keys(approval.files).map((path) => ({ path, key: [way, String(index), 'files', path] }))
            : [],
        ),
      ),
    ];
    for (const { path, key } of firstFiles) {
      if (!agent.state.some((directory) => path !== directory && isWithin(path, directory)))
        issue(key, 'is in no directory of "state"');
      if (firstFiles.some((other) => other.path !== path && isWithin(path, other.path)))
        issue(key, 'is below another one, which is a file');
    }
    const phantoms = JSON.stringify(agent.phantom);
    if (phantoms.includes('{socket}') && !phantoms.includes('{base_url}'))
      issue(['phantom'], 'a socket needs a plain-HTTP base URL as well');
  });

export const Tool = z
  .strictObject({
    kind: z.literal('tool'),
    ...base,
    sidecar: z
      .strictObject({ env: z.record(environmentName, z.string()).describe('Variable to credential field.') })
      .optional()
      .describe('Runs alone, in an image without agents, and gets the real credential.'),
  })
  .superRefine((tool, context) => {
    for (const { path, problem } of credentialProblems(tool))
      context.addIssue({ code: 'custom', path, message: problem });
  });

/** A program that people use in a browser: the main program of a web task. */
export const WebProgram = z
  .strictObject({
    kind: z.literal('web'),
    ...base,
    command: programArgv.describe(
      'Listens on 127.0.0.1. {port} is where; {public_url} is the address that people see.',
    ),
    env: environmentMap.default({}),
  })
  .superRefine((program, context) => {
    const { command } = program;
    for (const { path, problem } of credentialProblems(program))
      context.addIssue({ code: 'custom', path, message: problem });
    const issue = (message: string) => context.addIssue({ code: 'custom', path: ['command'], message });
    const holes = holesOf(command);
    const unknown = holes.find((hole) => hole !== 'port' && hole !== 'public_url');
    if (unknown !== undefined) issue(`{${unknown}} is not filled in here`);
    if (!holes.includes('port')) issue('needs {port}');
  });
