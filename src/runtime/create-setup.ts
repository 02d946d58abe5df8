import { userInfo } from 'node:os';
import { composeHost, type HostOptions, programDirectories } from './compose.ts';
import type { Paths } from './core/paths.ts';
import { podmanBase } from './engine/podman/podman-commands.ts';
import type { Setup } from './setup/contract.ts';
import { builderPreparation } from './setup/host-packages.ts';
import { hostStages } from './setup/host-stages.ts';
import { SetupService } from './setup/setup-service.ts';

/** The set-up of this host, for this user. Works before anything is installed and without a daemon. */
export function createSetup(options: HostOptions): Setup {
  const directories = programDirectories(options.env);
  const { runner, images, machineImages } = composeHost(options, (runner) =>
    builderPreparation({ runner, isRoot: options.uid === 0, programDirectories: directories }),
  );
  return new SetupService({
    stages: hostStages({
      runner,
      images,
      machineImages,
      paths: options.paths,
      uid: options.uid,
      userName: userInfo().username,
      programDirectories: directories,
    }),
  });
}

/** Podman on our own store and configuration: arguments that go before a verb, and environment. */
export function podmanCommand(paths: Paths): {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  return { file: 'podman', ...podmanBase(paths.podman) };
}
