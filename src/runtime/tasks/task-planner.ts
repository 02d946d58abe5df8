import type { AgentFile, AgentRun, Agents } from '../agents/contract.ts';
import { type Config, type ConfigScope, FALLBACK_AGENT } from '../config/contract.ts';
import { InvalidInputError } from '../core/errors.ts';
import {
  fileScopes,
  type HumanIdentity,
  type Project,
  type Projects,
  timeoutScope,
} from '../projects/contract.ts';
import type { CreateTaskInput, TaskMode } from './contract.ts';
import type { TaskSettings } from './task-store.ts';

/** How a task is to be made. Nothing of it exists yet. */
export interface TaskPlan {
  readonly project: Project;
  readonly mode: TaskMode;
  readonly agent: AgentFile;
  readonly run: AgentRun;
  readonly restricted: boolean;
  readonly timeoutS: number;
  readonly settings: TaskSettings;
}

export interface TaskPlannerDeps {
  readonly projects: Projects;
  readonly agents: Agents;
  readonly config: Config;
  readonly identity: HumanIdentity;
}

/** Settles what a task is, from what was asked for and what the files say. Changes nothing. */
export class TaskPlanner {
  readonly #deps: TaskPlannerDeps;

  constructor(deps: TaskPlannerDeps) {
    this.#deps = deps;
  }

  /** Throws NotFoundError (with the nearest names) or InvalidInputError for what cannot be had. */
  async plan(input: CreateTaskInput): Promise<TaskPlan> {
    const { projects, agents, config, identity } = this.#deps;
    const mode = modeOf(input);
    const [project, global] = await Promise.all([projects.get(input.project), config.global()]);
    const settings = taskSettings(input, project);
    const [agent, roster, preset, human] = await Promise.all([
      agents.agent(input.agent ?? project.settings.default_agent ?? FALLBACK_AGENT),
      agents.roster(),
      settings.preset === undefined ? undefined : config.preset(settings.preset),
      identity.of(project),
    ]);
    const resolved = await config.resolve({
      agent: agent.name,
      scopes: [
        timeoutScope(global, project),
        ...fileScopes(global, project),
        ...(preset === undefined ? [] : [preset]),
        {
          level: 'task',
          source: 'the settings of this task',
          directory: undefined,
          layer: taskLayer(settings),
        },
      ],
      projectDirectory: project.directory,
      instructions: settings.instructions,
      selectedSubagents: settings.subagents,
    });
    const restricted = settings.restricted ?? (project.settings.run.restricted || !resolved.isUnrestricted);
    const run = agents.plan({
      agent,
      roster: roster.entries,
      settings: resolved,
      isRestricted: restricted,
      // At a debugging shell it is the person who commits.
      authorship: mode === 'dev' && human !== undefined ? 'human' : project.settings.git.authorship,
      human,
      prompt: input.prompt,
      session: undefined,
    });
    return { project, mode, agent, run, restricted, timeoutS: resolved.timeoutS, settings };
  }
}

function modeOf({ prompt, dev }: CreateTaskInput): TaskMode {
  if (dev !== true) return prompt === undefined ? 'interactive' : 'headless';
  if (prompt === undefined) return 'dev';
  throw new InvalidInputError('A debugging shell takes no prompt', { hint: 'Leave out dev or the prompt.' });
}

function taskSettings(input: CreateTaskInput, project: Project): TaskSettings {
  return {
    preset: input.preset ?? project.settings.preset,
    model: input.model,
    maxTurns: input.maxTurns,
    timeoutS: input.timeoutS,
    instructions: input.instructions,
    subagents: input.subagents,
    restricted: input.restricted,
  };
}

/** Only what was said: an absent key leaves the layers below as they are. */
function taskLayer(settings: TaskSettings): ConfigScope['layer'] {
  const { model, maxTurns, timeoutS, restricted } = settings;
  return {
    ...(model === undefined ? {} : { model }),
    ...(maxTurns === undefined ? {} : { max_turns: maxTurns }),
    ...(timeoutS === undefined ? {} : { timeout: timeoutS }),
    ...(restricted === undefined ? {} : { unrestricted: !restricted }),
  };
}
