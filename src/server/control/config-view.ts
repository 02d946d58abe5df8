import { type ConfigScope, FALLBACK_AGENT, type GlobalConfig } from '../../runtime/config/contract.ts';
import { withoutCredentials } from '../../runtime/core/upstream-url.ts';
import { fileScopes, type Project, timeoutScope } from '../../runtime/projects/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { ResolvedConfig } from './control-protocol.ts';

type Mapping = Readonly<Record<string, unknown>>;

/** What the files come to, and which of them says what. Throws what the loading of any of them throws. */
export async function resolveConfig(
  { agents, config, projects }: Pick<Runtime, 'agents' | 'config' | 'projects'>,
  question: {
    readonly project?: string | undefined;
    readonly agent?: string | undefined;
    readonly preset?: string | undefined;
  },
): Promise<ResolvedConfig> {
  const global = await config.global();
  const project = question.project === undefined ? undefined : await projects.get(question.project);
  if (question.agent !== undefined) await agents.agent(question.agent);
  const agent = question.agent ?? project?.settings.default_agent ?? global.defaultAgent ?? FALLBACK_AGENT;
  const preset = question.preset ?? project?.settings.preset ?? textOf(global.sections['preset']);
  const scopes = [
    ...fileScopes(global, project),
    ...(preset === undefined ? [] : [await config.preset(preset)]),
  ];
  const resolved = await config.resolve({
    agent,
    scopes: [timeoutScope(global, project), ...scopes],
    projectDirectory: project?.directory,
  });
  const layer = config.merge(scopes);
  const settings = {
    ...(project === undefined ? global.sections : shownSettings(project)),
    agent: layer,
  };
  return {
    project: project?.id ?? null,
    agent,
    preset: preset ?? null,
    settings: Object.fromEntries(Object.entries(settings).filter(([, value]) => !isEmpty(value))),
    sources: {
      ...Object.fromEntries(
        Object.keys(settings)
          .filter((key) => key !== 'agent')
          .map((key) => [key, sectionSources(key, global, project)]),
      ),
      ...Object.fromEntries(Object.keys(layer).map((key) => [`agent.${key}`, layerSources(key, scopes)])),
    },
    run: {
      model: resolved.model ?? null,
      max_turns: resolved.maxTurns ?? null,
      timeout: resolved.timeoutS,
      unrestricted: resolved.isUnrestricted,
      subagents: resolved.subagents.map(({ name }) => name),
      has_custom_instructions: resolved.hasCustomInstructions,
      instructions: resolved.instructions,
    },
  };
}

/** As a person would write them: an address without its password, memory with its unit. */
function shownSettings({ settings }: Project): Mapping {
  const { git, run } = settings;
  return {
    ...settings,
    git: { ...git, upstream_url: withoutCredentials(git.upstream_url) },
    run: { ...run, memory: memoryText(run.memory) },
  };
}

function memoryText(bytes: number): string {
  const units = [
    ['g', 1024 ** 3],
    ['m', 1024 ** 2],
  ] as const;
  const unit = units.find(([, size]) => bytes % size === 0);
  return unit === undefined ? `${bytes / 1024}k` : `${bytes / unit[1]}${unit[0]}`;
}

function sectionSources(key: string, global: GlobalConfig, project: Project | undefined): string[] {
  const own = project?.ownKeys?.includes(key) === true ? [project.file] : [];
  return isEmpty(global.sections[key]) ? own : [...own, global.file];
}

function layerSources(key: string, scopes: readonly ConfigScope[]): string[] {
  return scopes
    .filter(({ layer }) => Object.hasOwn(layer, key))
    .map(({ source }) => source)
    .reverse();
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const isEmpty = (value: unknown): boolean =>
  value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
