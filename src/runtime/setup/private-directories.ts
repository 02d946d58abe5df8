import path from 'node:path';
import { HostError } from '../core/errors.ts';
import { makePrivateDir } from '../core/files.ts';
import type { Paths } from '../core/paths.ts';
import type { SetupStep } from './contract.ts';
import { failing, fine } from './finding.ts';
import { describePath } from './host-loader.ts';

const ID = 'host.directories';

/**
 * Every directory of ours, once, parents first. A runtime directory of our own making, where the system has none,
 * is one of them; one that the system made is not.
 */
export function privateDirectories(paths: Paths): readonly string[] {
  const isOurs = path.basename(paths.xdgRuntime).startsWith('terok-runtime-');
  const directories = [
    ...(isOurs ? [paths.xdgRuntime] : []),
    paths.config,
    paths.projects,
    path.dirname(paths.podman.containersConf),
    paths.state,
    paths.gates,
    paths.tasks,
    paths.runtime,
    paths.services,
    paths.networks,
    path.dirname(paths.podman.runRoot),
  ];
  return [...new Set(directories)];
}

/**
 * Nobody else may list or change it. Passing through is allowed: Podman opens the way to a container's root
 * file system for the mapped user.
 */
export function isPrivate(
  info: { readonly isDirectory: boolean; readonly uid: number; readonly mode: number },
  uid: number,
): boolean {
  return info.isDirectory && info.uid === uid && (info.mode & 0o066) === 0 && (info.mode & 0o700) === 0o700;
}

export function directoriesStep(deps: { readonly paths: Paths; readonly uid: number }): SetupStep {
  const unfit = async (): Promise<readonly string[]> => {
    const directories = privateDirectories(deps.paths);
    const infos = await Promise.all(directories.map((directory) => describePath(directory)));
    return directories.filter((_, index) => {
      const info = infos[index];
      return info === undefined || !isPrivate(info, deps.uid);
    });
  };
  return {
    id: ID,
    title: 'Making directories',
    check: async () => {
      const wrong = await unfit();
      return wrong.length === 0
        ? fine(ID, 'all directories are there and private')
        : failing(ID, `missing or not private: ${wrong.join(', ')}`, 'Run "terok-mcp setup".');
    },
    apply: async () => {
      for (const directory of await unfit()) {
        await makePrivateDir(directory, deps.uid).catch((cause: unknown) => {
          if (cause instanceof HostError) throw cause;
          throw new HostError(`${directory} cannot be made`, {
            hint: 'Make its parent directory writable for this user.',
            cause,
          });
        });
      }
    },
  };
}
