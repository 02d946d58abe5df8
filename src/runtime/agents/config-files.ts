import {
  INSTRUCTIONS_FILE,
  instructionsDirectory,
  isAgent,
  opencodeFile,
  SUBAGENTS_FILE,
  wrapperFile,
} from './agent-channels.ts';
import type { AgentConfigFile, AgentRunInput } from './contract.ts';
import { managedFiles } from './managed-files.ts';
import { opencodeConfig } from './opencode-config.ts';
import { isLoose } from './subagent-modes.ts';
import { toadAgents } from './toad-agents.ts';
import { renderWrapper } from './wrapper-script.ts';

/** So that what refers to the file never refers to nothing. */
const NEUTRAL = "Follow the project's coding conventions and existing patterns.";

/** All files of a task's read-only configuration (pure), sorted. Nothing in them is secret. */
export function configFiles(input: AgentRunInput): readonly AgentConfigFile[] {
  const { agent, settings, roster } = input;
  const instructions = settings.instructions === '' ? NEUTRAL : settings.instructions;
  const agents = roster.filter(isAgent);
  const hasSubagents = agent.headless.options.subagents !== undefined && settings.subagents.length > 0;
  const files: readonly AgentConfigFile[] = [
    plain(INSTRUCTIONS_FILE, instructions),
    ...(hasSubagents ? [plain(SUBAGENTS_FILE, subagentsJson(input))] : []),
    ...agents.flatMap((one) =>
      one.instructions.via === 'env_dir'
        ? [plain(`${instructionsDirectory(one)}/${one.instructions.file}`, instructions)]
        : [],
    ),
    ...agents
      .filter((one) => one.instructions.via === 'opencode')
      .map((one) =>
        plain(
          opencodeFile(one),
          opencodeConfig(one, {
            isRestricted: input.isRestricted,
            endpoints: input.endpoints,
            model: one.name === agent.name ? settings.model : undefined,
          }),
        ),
      ),
    ...managedFiles(input),
    ...toadAgents(input).map(({ path, content }) => plain(path, content)),
    ...roster
      // A tool with a real credential runs in an image of its own; a web program is started by us alone.
      .filter((entry) => entry.kind === 'agent' || (entry.kind === 'tool' && entry.sidecar === undefined))
      .map((entry) => ({
        ...plain(
          wrapperFile(entry),
          renderWrapper(entry, {
            isRestricted: input.isRestricted,
            hasInstructions: settings.instructions !== '',
          }),
        ),
        isExecutable: true,
      })),
  ];
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}

const plain = (path: string, content: string): AgentConfigFile => ({
  path,
  content,
  isExecutable: false,
  mountedAt: undefined,
});

const subagentsJson = (input: AgentRunInput): string => {
  const told = input.settings.subagents.map(({ name, fields }) => {
    const { permissionMode, ...others } = fields;
    return [name, isLoose(permissionMode, input) ? others : fields] as const;
  });
  return `${JSON.stringify(Object.fromEntries(told), undefined, 2)}\n`;
};
