import type { AgentFile, AgentRun, Agents, ApiEndpoint, RosterEntry } from '../agents/contract.ts';
import { type Config, FALLBACK_AGENT, type RunSettings } from '../config/contract.ts';
import type { Secret } from '../core/secret.ts';
import {
  fileScopes,
  type HumanIdentity,
  type Project,
  type Projects,
  timeoutScope,
} from '../projects/contract.ts';
import type { Vault } from '../vault/contract.ts';
import { CONTAINER_WEB_PORT } from '../web/contract.ts';
import type { CreateTaskInput, Task, TaskMode } from './contract.ts';
import type { TaskSettings } from './task-row.ts';
import { modeOf } from './task-rules.ts';
import { settingsOf, taskLayer } from './task-settings.ts';
import { credentialsOf, TOOL_TIMEOUT_S, toolRun } from './tool-run.ts';

/** How a task is to be started. Nothing of it was done yet. */
export interface TaskPlan {
  readonly project: Project;
  readonly mode: TaskMode;
  /** Its agent, tool or web program. */
  readonly agent: string;
  readonly run: AgentRun;
  /** Of a web task whose creator chose one: it must be there as well. */
  readonly webAgent: string | undefined;
  /** What `terok-init` is to run; undefined where it knows by itself. */
  readonly program: readonly string[] | undefined;
  /** Real credentials, by the variable that its program expects them in. */
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly restricted: boolean;
  /** 0: no limit. */
  readonly timeoutS: number;
  readonly settings: TaskSettings;
  /** As it was asked for; undefined but for headless tasks. */
  readonly prompt: string | undefined;
  /** The conversation that goes on. */
  readonly resumed: string | undefined;
}

export interface TaskPlannerDeps {
  readonly projects: Projects;
  readonly agents: Agents;
  readonly config: Config;
  readonly identity: HumanIdentity;
  readonly vault: Pick<Vault, 'credential'>;
}

interface Wanted {
  readonly project: Project;
  readonly mode: TaskMode;
  /** Undefined: whichever the files say. */
  readonly agent: string | undefined;
  readonly settings: TaskSettings;
  readonly prompt: string | undefined;
  readonly session: string | undefined;
}

/** Where a model server of this machine stands in every container. */
const RELAY_URL = 'http://localhost:9419';
/** The relay asks for nothing: whoever reaches it is a task that may. */
const RELAY_TOKEN = 'terok-relay';

/** Settles what a task is, from what was asked for and what the files say. Changes nothing. */
export class TaskPlanner {
  readonly #deps: TaskPlannerDeps;

  constructor(deps: TaskPlannerDeps) {
    this.#deps = deps;
  }

  /** Throws NotFoundError (with the nearest names) or InvalidInputError for what cannot be had. */
  async plan(input: CreateTaskInput): Promise<TaskPlan> {
    const { projects } = this.#deps;
    const mode = modeOf(input);
    const project =
      input.repo === undefined
        ? await projects.get(input.project ?? '')
        : await projects.forRepository(input.repo);
    return await this.#plan({
      project,
      mode,
      agent: mode === 'tool' ? input.tool?.name : mode === 'web' ? project.settings.web.program : input.agent,
      settings: settingsOf(input, mode, project),
      prompt: input.prompt,
      session: undefined,
    });
  }

  /** The same for a task that is to start again: the files are read anew, what was said of the task stands. */
  async planAgain(
    task: Task,
    next: {
      readonly settings: TaskSettings;
      readonly prompt: string | undefined;
      readonly session: string | undefined;
    },
  ): Promise<TaskPlan> {
    const project = await this.#deps.projects.get(task.project);
    return await this.#plan({ project, mode: task.mode, agent: task.agent, ...next });
  }

  async #plan(wanted: Wanted): Promise<TaskPlan> {
    const { project, mode, settings, prompt, session } = wanted;
    const rest = {
      project,
      mode,
      settings,
      prompt,
      resumed: session,
      webAgent: undefined,
      secrets: new Map<string, Secret>(),
    };
    switch (mode) {
      case 'tool':
        return { ...rest, ...(await this.#planTool(wanted)) };
      case 'web':
        return { ...rest, ...(await this.#planWeb(wanted)) };
      case 'headless': {
        const { agent, run, resolved, restricted } = await this.#planAgent(wanted, wanted.agent);
        if (run.command === undefined) throw new Error('a headless run was planned without a command');
        return {
          ...rest,
          agent: agent.name,
          run,
          program: run.command,
          restricted,
          timeoutS: resolved.timeoutS,
        };
      }
      case 'interactive':
      case 'dev': {
        const { agent, run, restricted } = await this.#planAgent(wanted, wanted.agent);
        return { ...rest, agent: agent.name, run, program: undefined, restricted, timeoutS: 0 };
      }
    }
  }

  async #planTool({ project, settings, agent: name = '' }: Wanted) {
    const tool = await this.#deps.agents.tool(name);
    const secrets = await credentialsOf(tool, this.#deps.vault);
    return {
      agent: tool.name,
      run: toolRun(tool),
      program: [tool.binary, ...(settings.toolArgs ?? [])],
      secrets,
      restricted: settings.restricted ?? project.settings.run.restricted,
      timeoutS: settings.timeoutS ?? TOOL_TIMEOUT_S,
    };
  }

  /** People start agents in it, so everything that agents are told is there as well. */
  async #planWeb(wanted: Wanted) {
    const [program, { run, restricted }] = await Promise.all([
      this.#deps.agents.webProgram(wanted.agent ?? ''),
      this.#planAgent(wanted, wanted.settings.agent),
    ]);
    return {
      agent: program.name,
      webAgent: wanted.settings.agent,
      run: { ...run, environment: { ...run.environment, ...program.env } },
      program: program.command.map((argument) => argument.replaceAll('{port}', String(CONTAINER_WEB_PORT))),
      restricted,
      timeoutS: 0,
    };
  }

  async #planAgent(
    { project, mode, settings, prompt, session }: Wanted,
    name: string | undefined,
  ): Promise<{
    readonly agent: AgentFile;
    readonly run: AgentRun;
    readonly resolved: RunSettings;
    readonly restricted: boolean;
  }> {
    const { agents, config, identity } = this.#deps;
    const [agent, roster, global, preset, human] = await Promise.all([
      agents.agent(name ?? project.settings.default_agent ?? FALLBACK_AGENT),
      agents.roster(),
      config.global(),
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
      projectDirectory: project.isRepository ? undefined : project.directory,
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
      prompt,
      session,
      endpoints: project.settings.relay === undefined ? new Map() : relayEndpoints(roster.entries),
    });
    return { agent, run, resolved, restricted };
  }
}

const relayEndpoints = (roster: readonly RosterEntry[]): ReadonlyMap<string, ApiEndpoint> =>
  new Map(
    roster
      .filter(({ kind, phantom }) => kind === 'agent' && phantom.api_key !== undefined)
      .map(({ name }) => [name, { baseUrl: RELAY_URL, token: RELAY_TOKEN, kind: 'api_key' }]),
  );
