import type { CommandRunner } from '../core/command.ts';
import type { Paths } from '../core/paths.ts';
import type { ImageRequest, Images } from '../images/contract.ts';
import { containersConfStep, inspectContainersHost, isCgroupV2 } from './containers-conf.ts';
import { tunDeviceStep, userNamespacesStep } from './devices.ts';
import { findProgram, hostPathExists } from './host-loader.ts';
import { hostPackagesStep } from './host-packages.ts';
import { imagesStep } from './images.ts';
import { directoriesStep } from './private-directories.ts';
import type { Stage } from './setup-service.ts';
import { subordinateIdsStep } from './subordinate-ids.ts';

export interface HostStagesDeps {
  readonly runner: CommandRunner;
  readonly paths: Paths;
  readonly images: Images;
  readonly machineImages: () => Promise<ImageRequest>;
  readonly uid: number;
  readonly userName: string;
  /** PATH and the directories of system programs. */
  readonly programDirectories: readonly string[];
}

/** Everything a host needs, in the order in which it can be had. */
export function hostStages(deps: HostStagesDeps): readonly Stage[] {
  const { runner, paths, uid, userName, programDirectories } = deps;
  const isRoot = uid === 0;
  const hasCrun = async (): Promise<boolean> => (await findProgram('crun', programDirectories)) !== undefined;
  const hasStore = async (): Promise<boolean> =>
    (await hostPathExists(paths.podman.graphRoot)) &&
    (await hostPathExists(paths.podman.containersConf)) &&
    (await findProgram('podman', programDirectories)) !== undefined;
  const programs = hostPackagesStep({
    runner,
    isRoot,
    programDirectories,
    isCgroupV2,
    needsBuilder: async () => {
      if ((await findProgram('mmdebstrap', programDirectories)) !== undefined) return false;
      return await deps.images.wouldBuildBase({ mayAskEngine: await hasStore() });
    },
  });
  return [
    [
      programs,
      subordinateIdsStep({ runner, uid, userName }),
      tunDeviceStep({ runner, isRoot }),
      ...(isRoot ? [] : [userNamespacesStep()]),
      directoriesStep({ paths, uid }),
    ],
    [
      containersConfStep({
        file: paths.podman.containersConf,
        host: async () => inspectContainersHost({ isRoot, hasCrun: await hasCrun() }),
      }),
    ],
    [imagesStep({ images: deps.images, machineImages: deps.machineImages, hasStore })],
  ];
}
