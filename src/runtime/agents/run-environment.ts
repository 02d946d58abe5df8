import { InvalidInputError } from '../core/errors.ts';
import { approvalEnvironment, channelEnvironment, isAgent } from './agent-channels.ts';
import type { AgentFile, AgentRun, AgentRunInput } from './contract.ts';
import { gitIdentity, usablePerson } from './git-identity.ts';
import { phantomsOf } from './phantoms.ts';

/**
 * What holds in the whole container, for its own agent by any way it is started: by a wrapper, by `exec` or over
 * ACP. Throws InvalidInputError when agents contradict each other.
 */
export function runEnvironment(
  input: AgentRunInput,
  headless: Readonly<Record<string, string>>,
): Pick<AgentRun, 'environment' | 'phantomEnvironment'> {
  const all = Object.entries(wholeEnvironment(input, headless));
  const names = new Set(input.roster.flatMap((entry) => phantomsOf(entry, input.endpoints).tokenVariables));
  return {
    environment: Object.fromEntries(all.filter(([name]) => !names.has(name))),
    phantomEnvironment: Object.fromEntries(all.filter(([name]) => names.has(name))),
  };
}

function wholeEnvironment(
  input: AgentRunInput,
  headless: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { agent } = input;
  const human = usablePerson(input.human);
  const agents = input.roster.filter(isAgent);
  return {
    ...Object.assign(
      {},
      ...agents
        .filter((one) => hasOpencodeProvider(one, input.endpoints))
        .map((one) => opencodeEnvironment(one)),
    ),
    ...ofAll(input),
    ...channelEnvironment(agent),
    ...headless,
    ...gitIdentity(input.authorship, { agent: agent.git, human }),
    HUMAN_GIT_NAME: human.name,
    HUMAN_GIT_EMAIL: human.email,
    TEROK_GIT_AUTHORSHIP: input.authorship,
    TEROK_AGENT: agent.name,
    ...(input.isRestricted ? {} : { TEROK_UNRESTRICTED: '1' }),
  };
}

/** Approvals and endpoints of all, for a person may start any of them there. */
function ofAll({ agent: own, roster, isRestricted, endpoints }: AgentRunInput): Record<string, string> {
  const givenBy = new Map<string, string>();
  const merged: Record<string, string> = {};
  const set = (name: string, value: string, by: string): void => {
    if (Object.hasOwn(merged, name) && merged[name] !== value) {
      throw new InvalidInputError(`${givenBy.get(name)} and ${by} give ${name} different values`, {
        hint: 'Correct one of their files in the roster.',
      });
    }
    merged[name] = value;
    givenBy.set(name, by);
  };
  for (const agent of roster.filter(isAgent))
    for (const [name, value] of approvalEnvironment(agent, isRestricted)) set(name, value, agent.name);
  for (const entry of roster)
    for (const [name, value] of Object.entries(phantomsOf(entry, endpoints).env))
      set(name, value, entry.name);
  for (const [name, value] of Object.entries(own.env)) set(name, value, own.name);
  return merged;
}

export const opencodeVariable = ({ name }: AgentFile, what: string): string =>
  `TEROK_OC_${name.toUpperCase().replaceAll('-', '_')}_${what}`;

/** Whether it is OpenCode with a provider of its own: always, or only where its API calls go elsewhere. */
export function hasOpencodeProvider(
  { name, opencode, phantom }: AgentFile,
  endpoints: AgentRunInput['endpoints'],
): boolean {
  const kind = endpoints.get(name)?.kind;
  const isElsewhere = kind !== undefined && phantom[kind] !== undefined;
  return opencode !== undefined && (opencode.base_url !== undefined || isElsewhere);
}

/** Endpoints of the agents that are OpenCode with another one; a proxy's address takes the place of the vendor's. */
function opencodeEnvironment(agent: AgentFile): Record<string, string> {
  if (agent.opencode === undefined) return {};
  const { base_url, preferred_model, fallback_model, display_name, key_env, config_dir } = agent.opencode;
  const values = {
    ...(base_url === undefined ? {} : { BASE_URL: base_url }),
    PREFERRED_MODEL: preferred_model,
    FALLBACK_MODEL: fallback_model,
    DISPLAY_NAME: display_name,
    ENV_VAR_PREFIX: key_env.replace(/_API_KEY$/, ''),
    CONFIG_DIR: config_dir,
  };
  return Object.fromEntries(
    Object.entries(values).map(([what, value]) => [opencodeVariable(agent, what), value]),
  );
}
