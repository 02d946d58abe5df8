import { AGENT_CONFIG, type AgentFile, type RosterEntry } from './contract.ts';

/** Where things lie in a container, and what an agent is told of them. */

export const INSTRUCTIONS_FILE = 'instructions.md';
export const SUBAGENTS_FILE = 'agents.json';

/** What stands in `headless.log_env` until the wrapper knows better. */
export const LOG_TO_OUTPUT = 'stderr';

export const containerPath = (file: string): string => `${AGENT_CONFIG}/${file}`;
export const wrapperFile = ({ name }: Pick<RosterEntry, 'name'>): string => `bin/${name}`;
export const opencodeFile = ({ name }: Pick<RosterEntry, 'name'>): string => `opencode/${name}.json`;
export const instructionsDirectory = ({ name }: Pick<RosterEntry, 'name'>): string => `instructions/${name}`;

/** Puts values in the places that `{name}` marks. */
export function fill(args: readonly string[], values: Readonly<Record<string, string>>): readonly string[] {
  return args.map((argument) =>
    argument.replace(/\{([a-z_]+)\}/g, (place: string, name: string) =>
      Object.hasOwn(values, name) ? (values[name] ?? place) : place,
    ),
  );
}

/** Arguments by which an agent is told its instructions; none where that goes another way. */
export function instructionArgs(agent: AgentFile): readonly string[] {
  return agent.instructions.via === 'args'
    ? fill(agent.instructions.args, { file: containerPath(INSTRUCTIONS_FILE) })
    : [];
}

/** Variables by which an agent finds its instructions and its configuration. */
export function channelEnvironment(agent: AgentFile): Readonly<Record<string, string>> {
  switch (agent.instructions.via) {
    case 'env_dir':
      return { [agent.instructions.env]: containerPath(instructionsDirectory(agent)) };
    case 'opencode':
      return { OPENCODE_CONFIG: containerPath(opencodeFile(agent)) };
    default:
      return {};
  }
}

type Approvals = AgentFile['unrestricted'];

/** What says in such a task whether an agent asks before it acts. */
export const approvalsOf = (agent: AgentFile, isRestricted: boolean): Approvals =>
  isRestricted ? agent.restricted : agent.unrestricted;

export const approvalArgs = (agent: AgentFile, isRestricted: boolean): readonly string[] =>
  approvalsOf(agent, isRestricted).flatMap((approval) => (approval.via === 'args' ? approval.args : []));

export const approvalEnvironment = (
  agent: AgentFile,
  isRestricted: boolean,
): readonly (readonly [name: string, value: string])[] =>
  approvalsOf(agent, isRestricted).flatMap((approval) =>
    approval.via === 'env' ? Object.entries(approval.env) : [],
  );

export const isAgent = (entry: RosterEntry): entry is AgentFile => entry.kind === 'agent';
