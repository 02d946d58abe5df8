import type { Agents } from '../agents/contract.ts';
import type { Images } from '../images/contract.ts';
import type { Projects } from '../projects/contract.ts';
import type { Check } from './doctor-service.ts';

const MAX_NAMED = 5;

export interface ProjectCheckDeps {
  readonly projects: Projects;
  readonly agents: Pick<Agents, 'list'>;
  readonly images: Pick<Images, 'plan'>;
}

export function projectChecks(deps: ProjectCheckDeps): readonly Check[] {
  return [projectFiles(deps), agentFiles(deps), readyImages(deps), privileges(deps)];
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
      const { agents: valid, broken } = await agents.list();
      if (broken.length === 0) return { level: 'ok', message: `${valid.length} agents, all readable` };
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

function readyImages({ images }: ProjectCheckDeps): Check {
  return {
    id: 'images.ready',
    run: async (signal) => {
      const { missing } = await images.plan(signal);
      if (missing.length === 0) return { level: 'ok', message: 'all images are built' };
      return {
        level: 'warn',
        message: `not built yet: ${missing.join(', ')}; the first task waits for them`,
        fix: 'Run "terok-mcp setup" to build them now.',
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
