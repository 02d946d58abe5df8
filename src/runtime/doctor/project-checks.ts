import type { Agents } from '../agents/contract.ts';
import type { Config } from '../config/contract.ts';
import { RuntimeError } from '../core/errors.ts';
import type { ImageRequest, Images } from '../images/contract.ts';
import type { Projects } from '../projects/contract.ts';
import type { Check } from './doctor-service.ts';

const MAX_NAMED = 5;

export interface ProjectCheckDeps {
  readonly projects: Projects;
  readonly config: Pick<Config, 'global' | 'presets' | 'preset'>;
  readonly agents: Pick<Agents, 'roster'>;
  readonly images: Pick<Images, 'plan' | 'inventory'>;
  /** The images of projects that say nothing about theirs. */
  readonly machineImages: () => Promise<ImageRequest>;
}

export function projectChecks(deps: ProjectCheckDeps): readonly Check[] {
  return [
    configFiles(deps),
    projectFiles(deps),
    agentFiles(deps),
    readyImages(deps),
    installedAgents(deps),
    privileges(deps),
  ];
}

function configFiles({ config }: ProjectCheckDeps): Check {
  return {
    id: 'config.files',
    run: async () => {
      const names = await config.presets();
      const loads = await Promise.allSettled([config.global(), ...names.map((name) => config.preset(name))]);
      const problems = loads.flatMap((load) => (load.status === 'rejected' ? [messageOf(load.reason)] : []));
      if (problems.length === 0)
        return { level: 'ok', message: `config.yml and ${names.length} presets, all readable` };
      return {
        level: 'warn',
        message: nameProblems(problems),
        fix: 'Correct the named lines. No task starts while config.yml is broken.',
      };
    },
  };
}

/** What a person's own file is accused of; anything else is a defect and must surface. */
function messageOf(reason: unknown): string {
  if (reason instanceof RuntimeError) return reason.message;
  throw reason;
}

function projectFiles({ projects }: ProjectCheckDeps): Check {
  return {
    id: 'projects.files',
    run: async () => {
      const { projects: valid, broken } = await projects.list();
      if (broken.length === 0) return { level: 'ok', message: `${valid.length} projects, all readable` };
      return {
        level: 'warn',
        message: nameProblems(broken.map(({ id, problem }) => `${id} (${problem})`)),
        fix: 'Correct the named line of each project.yml; the other projects work.',
      };
    },
  };
}

function agentFiles({ agents }: ProjectCheckDeps): Check {
  return {
    id: 'agents.files',
    run: async () => {
      const { entries, broken } = await agents.roster();
      if (broken.length === 0)
        return { level: 'ok', message: `${entries.length} agents and tools, all readable` };
      return {
        level: 'warn',
        message: nameProblems(broken.map(({ name, problem }) => `${name} (${problem})`)),
        fix: 'Correct the named line of each file, or remove it; the other agents work.',
      };
    },
  };
}

function nameProblems(problems: readonly string[]): string {
  const rest = problems.length > MAX_NAMED ? ` and ${problems.length - MAX_NAMED} more` : '';
  return `unusable: ${problems.slice(0, MAX_NAMED).join('; ')}${rest}`;
}

function readyImages({ images, machineImages }: ProjectCheckDeps): Check {
  return {
    id: 'images.ready',
    run: async (signal) => {
      const { missing } = await images.plan(await machineImages(), signal);
      if (missing.length === 0) return { level: 'ok', message: 'all images are built' };
      return {
        level: 'warn',
        message: `not built yet: ${missing.join(', ')}; the first task waits for them`,
        fix: 'Run "terok-mcp setup" to build them now.',
      };
    },
  };
}

function installedAgents({ images, machineImages }: ProjectCheckDeps): Check {
  return {
    id: 'images.agents',
    run: async (signal) => {
      const inventory = await images.inventory(await machineImages(), signal);
      if (inventory === undefined) return { level: 'ok', message: 'no image of agents is built yet' };
      const { installed, skipped } = inventory;
      const there = `installed: ${installed.map(({ name, version }) => `${name} ${version}`).join(', ')}`;
      if (skipped.length === 0) return { level: 'ok', message: there };
      return {
        level: 'ok',
        message: `${there}; not installed: ${skipped.map(({ name, reason }) => `${name} (${reason})`).join('; ')}`,
      };
    },
  };
}

/** Sudo is a set-user-id program: the kernel flag that forbids gaining privileges would break it. */
function privileges({ projects }: ProjectCheckDeps): Check {
  return {
    id: 'tasks.privileges',
    run: async () => {
      const { projects: valid } = await projects.list();
      const open = valid.filter(({ settings }) => !settings.run.restricted).map(({ id }) => id);
      if (open.length === 0)
        return { level: 'ok', message: 'every project runs restricted: no-new-privileges is on' };
      const named = open.slice(0, MAX_NAMED).join(', ') + (open.length > MAX_NAMED ? ', …' : '');
      return {
        level: 'ok',
        message: `sudo works inside tasks of ${named}, so no-new-privileges is off there; container root is an unprivileged user of the host and cannot change the network rules. "run.restricted: true" in project.yml turns sudo off`,
      };
    },
  };
}
