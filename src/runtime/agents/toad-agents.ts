import { channelEnvironment, containerPath, isAgent, wrapperFile } from './agent-channels.ts';
import type { AgentFile, AgentRunInput } from './contract.ts';
import { gitIdentity, usablePerson } from './git-identity.ts';
import { tomlString } from './managed-files.ts';
import { shellWord } from './shell-word.ts';

const TOAD = 'toad';

/**
 * What Toad knows of the agents (pure): a definition for each that speaks ACP, in Toad's own format. Its package is
 * installed with this directory in place of its own, so that it offers what is in the image and nothing to install.
 */
export function toadAgents(
  input: AgentRunInput,
): readonly { readonly path: string; readonly content: string }[] {
  if (!input.roster.some(({ kind, name }) => kind === 'web' && name === TOAD)) return [];
  return input.roster.filter(isAgent).flatMap((agent) => {
    const command = acpCommand(agent, input);
    return command === undefined
      ? []
      : [{ path: `${TOAD}/agents/${agent.name}.toml`, content: definition(agent, command) }];
  });
}

/** Toad gives it to a shell. What is not a wrapper of ours is told here what a wrapper would tell it. */
function acpCommand(agent: AgentFile, { authorship, human }: AgentRunInput): readonly string[] | undefined {
  if (agent.acp === undefined) return undefined;
  const [program = '', ...args] = agent.acp.command;
  const isWrapped = program === agent.binary;
  const environment = isWrapped
    ? agent.acp.env
    : {
        ...agent.env,
        ...channelEnvironment(agent),
        ...agent.acp.env,
        ...gitIdentity(authorship, { agent: agent.git, human: usablePerson(human) }),
      };
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return [
    ...(variables.length === 0 ? [] : ['env', ...variables]),
    isWrapped ? containerPath(wrapperFile(agent)) : program,
    ...args,
  ];
}

function definition({ name, title, description }: AgentFile, command: readonly string[]): string {
  const fields = {
    identity: `${name}.terok.invalid`,
    name: title,
    short_name: name,
    url: 'https://terok.invalid/',
    protocol: 'acp',
    author_name: title,
    author_url: 'https://terok.invalid/',
    publisher_name: 'terok-mcp',
    publisher_url: 'https://terok.invalid/',
    type: 'coding',
    description,
    help: description,
  };
  return [
    ...Object.entries(fields).map(([key, value]) => `${key} = ${tomlString(value)}`),
    'tags = []',
    `run_command."*" = ${tomlString(command.map(shellWord).join(' '))}`,
    '',
    '[actions]',
    '',
  ].join('\n');
}
