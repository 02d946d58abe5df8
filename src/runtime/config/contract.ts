import { z } from 'zod';
import { INHERIT } from '../core/deep-merge.ts';

const inheritable = <T extends z.ZodType>(value: T) => z.union([value, z.literal(INHERIT)]);
const inheritMark = z
  .literal(true)
  .optional()
  .describe('Says only that the rest comes from the layers below.');

/** One value for all agents, or a mapping from agent to value with `_default`. `null` unsets. */
const perAgent = <T extends z.ZodType>(value: T) =>
  z.union([
    value,
    z.object({ [INHERIT]: inheritMark }).catchall(z.union([value, z.literal(INHERIT), z.null()])),
    z.null(),
  ]);

const instructionList = z.array(z.union([z.string(), z.number(), z.boolean()]));

/** One entry of `subagents`, or the front matter of its file. */
export const SubagentSettings = z.looseObject({
  name: z
    .string()
    .regex(/^(?=.*\S)[^\p{Cc}\p{Cf}]{1,64}$/u, 'a name of at most 64 visible characters')
    .optional()
    .describe('What it is called; may stand in the file instead.'),
  file: z
    .string()
    .min(1)
    .optional()
    .describe('A Markdown file with front matter, relative to the file that names it.'),
  default: z.boolean().optional().describe('Part of every run, not only of those that select it.'),
});

const NamedSubagent = SubagentSettings.refine(
  ({ name, file }) => name !== undefined || file !== undefined,
  'needs a "name", or a "file" that has one',
);

/**
 * One layer of how agents are run: of `config.yml`, `project.yml`, a preset, a task or a call. Layers are merged
 * deeply; `_inherit` stands for what the layers below say.
 */
export const AgentLayer = z
  .strictObject({
    model: inheritable(perAgent(z.string().min(1)))
      .optional()
      .describe('Model, for agents that let one choose.'),
    max_turns: inheritable(perAgent(z.int().min(1)))
      .optional()
      .describe('Turns a run may take.'),
    timeout: inheritable(perAgent(z.int().min(1).max(86_400)))
      .optional()
      .describe('Seconds a run may take.'),
    instructions: inheritable(
      z.union([
        z.string(),
        instructionList,
        z.object({ [INHERIT]: inheritMark }).catchall(z.union([z.string(), instructionList, z.null()])),
        z.null(),
      ]),
    )
      .optional()
      .describe('Text, or a list whose "_inherit" is the bundled text, or either by agent.'),
    unrestricted: inheritable(perAgent(z.union([z.boolean(), z.string()])))
      .optional()
      .describe('false: the agent asks before it acts, and there is no sudo.'),
    subagents: inheritable(z.union([z.array(z.union([NamedSubagent, z.literal(INHERIT)])), z.null()]))
      .optional()
      .describe('Sub-agents, for agents that know such.'),
  })
  .describe('How agents are run.');
export type AgentLayer = z.infer<typeof AgentLayer>;

/** A layer with where it came from, lowest priority first in a stack. */
export interface ConfigScope {
  readonly level: 'global' | 'project' | 'preset' | 'task' | 'call';
  /** A file, or words for what is no file. */
  readonly source: string;
  /**
   * Directory that relative paths in it mean. Undefined where files cannot be named at all: a client of ours must
   * not have the host read a file to it.
   */
  readonly directory: string | undefined;
  /** An AgentLayer, checked when it is used. */
  readonly layer: Readonly<Record<string, unknown>>;
}

/** A sub-agent as its agent is told of it: `prompt` and what the front matter says. */
export interface Subagent {
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What the layers come to for one agent. */
export interface RunSettings {
  readonly model: string | undefined;
  readonly maxTurns: number | undefined;
  readonly timeoutS: number;
  /** Never empty unless somebody emptied it on purpose. */
  readonly instructions: string;
  /** Whether a person wrote any of it. */
  readonly hasCustomInstructions: boolean;
  readonly isUnrestricted: boolean;
  /** Chosen ones, in order, each name once. */
  readonly subagents: readonly Subagent[];
}

/** The agent of whoever names none anywhere. */
export const FALLBACK_AGENT = 'claude';

export interface ResolveInput {
  readonly agent: string;
  readonly scopes: readonly ConfigScope[];
  /** `instructions.md` of this directory is appended. */
  readonly projectDirectory: string | undefined;
  /** Replaces all other instructions. */
  readonly instructions?: string | undefined;
  /** Sub-agents chosen for this run, besides those that are default. */
  readonly selectedSubagents?: readonly string[] | undefined;
}

/** `config.yml`: the same sections as a project's, for all projects. */
export interface GlobalConfig {
  readonly file: string;
  /**
   * Sections for a project's own to be laid over with `deepMerge`. Validated; values are as written but for the
   * path of a snippet, which is absolute.
   */
  readonly sections: Readonly<Record<string, unknown>>;
  readonly defaultAgent: string | undefined;
  readonly agent: AgentLayer | undefined;
}

export interface Config {
  /** An absent file is an empty one. Throws InvalidInputError (file, line, key) for a broken one. */
  global(): Promise<GlobalConfig>;
  /** Throws NotFoundError with the nearest names, or InvalidInputError. */
  preset(name: string): Promise<ConfigScope>;
  presets(): Promise<readonly string[]>;
  /** Merges the scopes for one agent. Throws InvalidInputError naming the source of what cannot be used. */
  resolve(input: ResolveInput): Promise<RunSettings>;
  /** The merged layer as it is, before an agent is chosen: for people who look. */
  merge(scopes: readonly ConfigScope[]): Readonly<Record<string, unknown>>;
}
