import { fileURLToPath } from 'node:url';
import { CHECKPOINTS, type Checkpoint, noCheckpoint } from '../runtime/core/checkpoint.ts';
import { systemClock } from '../runtime/core/clock.ts';
import type { Logger } from '../runtime/core/log.ts';
import type { Paths } from '../runtime/core/paths.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Setup } from '../runtime/setup/contract.ts';
import { baseEnvironment, packageEnvironment } from './base-environment.ts';
import type { Host } from './host.ts';

/** What the commands run on; tests hand in a runtime without Podman. */
export interface Services {
  createRuntime(host: Host, paths: Paths, logger: Logger): Promise<Runtime>;
  createSetup(host: Host, paths: Paths): Promise<Setup>;
  /** Podman on our own store. */
  podmanCommand(paths: Paths): Promise<{
    readonly file: string;
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  }>;
}

const resourcesDir = fileURLToPath(new URL('../../resources', import.meta.url));

export const services: Services = {
  createRuntime: async (host, paths, logger) => {
    const { createRuntime } = await import('../runtime/create-runtime.ts');
    return await createRuntime({
      paths,
      uid: host.uid,
      env: baseEnvironment(host, paths),
      packageEnv: packageEnvironment(host),
      logger,
      clock: systemClock,
      checkpoint: checkpointOf(host),
      resourcesDir,
      vault: { program: host.program },
    });
  },
  createSetup: async (host, paths) => {
    const { createSetup } = await import('../runtime/create-setup.ts');
    return createSetup({
      paths,
      uid: host.uid,
      env: baseEnvironment(host, paths),
      packageEnv: packageEnvironment(host),
      resourcesDir,
    });
  },
  podmanCommand: async (paths) => {
    const { podmanCommand } = await import('../runtime/create-setup.ts');
    return podmanCommand(paths);
  },
};

/** Fault injection: the daemon dies on the spot at the step that is named. */
function checkpointOf(host: Host): Checkpoint {
  const crashAt = CHECKPOINTS.find((name) => name === host.env['TEROK_TEST_CRASH_AT']);
  if (crashAt === undefined) return noCheckpoint;
  return (name) => {
    if (name === crashAt) host.crash();
  };
}
