import type { AgentConfigFile, AgentFile, AgentRun, Agents } from '../agents/contract.ts';
import { type Config, FALLBACK_AGENT, type RunSettings } from '../config/contract.ts';
import type { Secret } from '../core/secret.ts';
import {
  fileScopes,
  type HumanIdentity,
  type Project,
  type Projects,
  timeoutScope,
} from '../projects/contract.ts';
import type { GrantPlan, SshHosts, Vault } from '../vault/contract.ts';
import { CONTAINER_WEB_PORT } from '../web/contract.ts';
import { endpointsOf } from './api-endpoints.ts';
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
  /** What it may use through its own proxy; nothing is valid yet. */
  readonly access: GrantPlan;
  /** Whose settings of the person's it begins with; undefined where no agent runs. */
  readonly homeOf: string | undefined;
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
  readonly vault: Pick<Vault, 'credential' | 'planGrants'>;
  readonly sshHosts: Pick<SshHosts, 'containerFile' | 'warnings'>;
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

const NO_ACCESS: GrantPlan = { grants: [], hasSshAgent: false, warnings: [] };

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
      access: NO_ACCESS,
      homeOf: undefined,
    };
    switch (mode) {
      case 'tool':
        return { ...rest, ...(await this.#planTool(wanted)) };
      case 'web':
        return { ...rest, ...(await this.#planWeb(wanted)) };
      case 'headless': {
        const { agent, resolved, ...planned } = await this.#planAgent(wanted, wanted.agent);
        const { run } = planned;
        if (run.command === undefined) throw new Error('a headless run was planned without a command');
        return {
          ...rest,
          ...planned,
          agent: agent.name,
          program: run.command,
          timeoutS: resolved.timeoutS,
        };
      }
      case 'interactive':
      case 'dev': {
        const { agent, resolved: _, ...planned } = await this.#planAgent(wanted, wanted.agent);
        return { ...rest, ...planned, agent: agent.name, program: undefined, timeoutS: 0 };
      }
    }
  }

  async #planTool({ project, settings, agent: name = '' }: Wanted) {
    const tool = await this.#deps.agents.tool(name);
    const secrets = await credentialsOf(tool, { vault: this.#deps.vault, project: project.id });
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
    const [program, { run, restricted, access, homeOf }] = await Promise.all([
      this.#deps.agents.webProgram(wanted.agent ?? ''),
      this.#planAgent(wanted, wanted.settings.agent),
    ]);
    return {
      agent: program.name,
      webAgent: wanted.settings.agent,
      run: { ...run, environment: { ...run.environment, ...program.env } },
      program: program.command.map((argument) => argument.replaceAll('{port}', String(CONTAINER_WEB_PORT))),
      restricted,
      access,
      homeOf,
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
    readonly access: GrantPlan;
    readonly homeOf: string;
  }> {
    const { agents, config, identity, vault } = this.#deps;
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
    if (mode === 'tool') throw new Error('a tool runs without an agent');
    const granted = await vault.planGrants({ project, agent: agent.name, mode });
    const warnings = granted.hasSshAgent ? await this.#deps.sshHosts.warnings(project) : [];
    const access = { ...granted, warnings: [...granted.warnings, ...warnings] };
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
      endpoints: endpointsOf({
        roster: roster.entries,
        hasRelay: project.settings.relay !== undefined,
        grants: access.grants,
      }),
    });
    const files = access.hasSshAgent ? [...run.files, await this.#knownHosts(project)] : run.files;
    return { agent, run: { ...run, files }, resolved, restricted, access, homeOf: agent.name };
  }

  /** Where OpenSSH looks for everybody's: whoever has an agent should not have to trust the first key it sees. */
  async #knownHosts(project: Project): Promise<AgentConfigFile> {
    return {
      path: 'managed/etc/ssh/ssh_known_hosts',
      content: await this.#deps.sshHosts.containerFile(project),
      isExecutable: false,
      mountedAt: '/etc/ssh/ssh_known_hosts',
    };
  }
}
