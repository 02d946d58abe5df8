import type { Images } from '../images/contract.ts';
import type { Projects } from '../projects/contract.ts';
import type { Check } from './doctor-service.ts';

const MAX_NAMED = 5;

export interface ProjectCheckDeps {
  readonly projects: Projects;
  readonly images: Pick<Images, 'plan'>;
}

export function projectChecks(deps: ProjectCheckDeps): readonly Check[] {
  return [projectFiles(deps), readyImages(deps), privileges(deps)];
}

function projectFiles({ projects }: ProjectCheckDeps): Check {
  return {
    id: 'projects.files',
    run: async () => {
      const { projects: valid, broken } = await projects.list();
      if (broken.length === 0) return { level: 'ok', message: `${valid.length} projects, all readable` };
      const named = broken.slice(0, MAX_NAMED).map(({ id, problem }) => `${id} (${problem})`);
      const rest = broken.length > MAX_NAMED ? ` and ${broken.length - MAX_NAMED} more` : '';
      return {
        level: 'warn',
        message: `unusable: ${named.join('; ')}${rest}`,
        fix: 'Correct the named line of each project.yml; the other projects work.',
      };
    },
  };
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
