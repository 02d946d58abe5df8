import { containerPath, INSTRUCTIONS_FILE } from './agent-channels.ts';
import type { AgentFile, AgentRunInput } from './contract.ts';
import { hasOpencodeProvider, opencodeVariable } from './run-environment.ts';

/** `opencode run` refuses by itself what it would have to ask for, but asks for little unless it is told to. */
const ASK = { bash: 'ask', edit: 'ask', webfetch: 'ask' };

/** A restricted one takes no configuration from the repository, and with it none of its words; those may stay. */
const PROJECT_INSTRUCTIONS = '/workspace/AGENTS.md';

/** The opencode.json of one agent (pure). Keys and addresses are read from the environment: they are no secret here. */
export function opencodeConfig(
  agent: AgentFile,
  options: Pick<AgentRunInput, 'isRestricted' | 'endpoints'> & { readonly model: string | undefined },
): string {
  const config = {
    $schema: 'https://opencode.ai/config.json',
    autoupdate: false,
    share: 'disabled',
    instructions: [containerPath(INSTRUCTIONS_FILE), ...(options.isRestricted ? [PROJECT_INSTRUCTIONS] : [])],
    permission: options.isRestricted ? ASK : { '*': 'allow' },
    ...(hasOpencodeProvider(agent, options.endpoints) ? endpoint(agent, options.model) : {}),
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** OpenCode has a provider of its own name, with models of its own. */
const OTHER_PROVIDER = 'terok';

/** What stands before the slash in names of models. */
export const opencodeProvider = ({ name, opencode }: AgentFile): string =>
  opencode?.base_url === undefined ? OTHER_PROVIDER : name;

function endpoint(agent: AgentFile, model: string | undefined): object {
  const { opencode } = agent;
  if (opencode === undefined) return {};
  // OpenCode refuses a model that is not listed.
  const models = new Set([
    opencode.preferred_model,
    opencode.fallback_model,
    ...(model === undefined ? [] : [model]),
  ]);
  return {
    model: `${opencodeProvider(agent)}/${opencode.preferred_model}`,
    provider: {
      [opencodeProvider(agent)]: {
        npm: '@ai-sdk/openai-compatible',
        name: opencode.display_name,
        options: {
          baseURL: `{env:${opencodeVariable(agent, 'BASE_URL')}}`,
          apiKey: `{env:${opencode.key_env}}`,
          // Five minutes unless it is told, six times over.
          headerTimeout: 180_000,
        },
        models: Object.fromEntries([...models].map((name) => [name, { name }])),
      },
    },
  };
}
