import { asNothing, asText, type Command } from '../../core/command.ts';
import type { PodmanPaths } from '../../core/paths.ts';
import type { ContainerSpec, ContainerState, IdMapping, ImageBuild, ImageState } from '../contract.ts';
import { buildArgs, idMappingArgs, runArgs } from './podman-args.ts';
import { BUILD_MS } from './podman-build.ts';
import {
  type BuildContainer,
  parseBuildContainers,
  parseBuiltId,
  parseImageList,
  parseLabelsByName,
  parseRemoval,
  type RemovalOutcome,
} from './podman-image-output.ts';
import {
  type PodmanInfo,
  parseContainers,
  parseImageLabels,
  parseInfo,
  parseNames,
  parseStarted,
} from './podman-output.ts';

/** Flags and environment that make every Podman call use our own store and configuration (pure). */
export function podmanBase(paths: PodmanPaths): {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  return {
    args: [
      `--root=${paths.graphRoot}`,
      `--runroot=${paths.runRoot}`,
      `--tmpdir=${paths.tmpDir}`,
      '--storage-driver=overlay',
    ],
    // Replaces every other containers.conf, the user's and the distribution's.
    env: { CONTAINERS_CONF: paths.containersConf },
  };
}

const NO_SUCH = 125;

/** Every Podman verb we use, as values. */
export class PodmanCommands {
  readonly #paths: PodmanPaths;

  constructor(deps: { readonly paths: PodmanPaths }) {
    this.#paths = deps.paths;
  }

  info(): Command<PodmanInfo> {
    return this.#podman(['info', '--format=json'], parseInfo);
  }

  /** Creates and starts in one call, which saves a Podman start of 30 ms. */
  run(spec: ContainerSpec): Command<string> {
    return this.#podman(runArgs(spec), ({ stdout }) => stdout.trim(), { timeoutMs: 60_000 });
  }

  /** False: there is no such container. */
  start(name: string): Command<boolean> {
    return this.#podman(['start', '--', name], parseStarted, { okCodes: [0, NO_SUCH], timeoutMs: 60_000 });
  }

  stop(name: string, graceS: number): Command<void> {
    return this.#podman(['stop', '--ignore', `--time=${graceS}`, '--', name], asNothing, {
      timeoutMs: (graceS + 30) * 1000,
    });
  }

  remove(name: string): Command<void> {
    return this.#podman(['rm', '--force', '--ignore', '--time=0', '--volumes', '--', name], asNothing, {
      timeoutMs: 60_000,
    });
  }

  list(labels: Readonly<Record<string, string>>): Command<readonly string[]> {
    const filters = Object.entries(labels).map(([key, value]) => `--filter=label=${key}=${value}`);
    return this.#podman(['ps', '--all', '--no-trunc', '--format={{.ID}}', ...filters], parseNames);
  }

  /** A name that does not exist fails the whole call (exit code 125): callers ask `list` first or accept it. */
  inspect(names: readonly string[]): Command<readonly ContainerState[]> {
    return this.#podman(['container', 'inspect', '--format=json', '--', ...names], parseContainers, {
      okCodes: [0, NO_SUCH],
    });
  }

  imageLabels(tag: string): Command<Readonly<Record<string, string>> | undefined> {
    return this.#podman(['image', 'inspect', '--format=json', '--', tag], parseImageLabels, {
      okCodes: [0, NO_SUCH],
    });
  }

  /** Those of the images that exist, in one call. */
  labelsOf(names: readonly string[]): Command<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    return this.#podman(['image', 'inspect', '--format=json', '--', ...names], parseLabelsByName, {
      okCodes: [0, NO_SUCH],
    });
  }

  listImages(label: string): Command<readonly ImageState[]> {
    return this.#podman(
      ['images', '--all', '--no-trunc', '--format=json', `--filter=label=${label}`],
      parseImageList,
    );
  }

  /** Codes 1 and 2: there is none, or something still needs it. */
  removeImage(image: string): Command<RemovalOutcome> {
    return this.#podman(['rmi', '--', image], parseRemoval, {
      okCodes: [0, 1, 2, NO_SUCH],
      timeoutMs: 120_000,
    });
  }

  /** As `dev` without any privilege, network or mount of the host; ids are mapped anew only where that is asked for. */
  runOnce(run: {
    readonly image: string;
    readonly command: readonly string[];
    readonly timeoutMs: number;
    readonly idMapping?: IdMapping | undefined;
  }): Command<string> {
    const args = [
      'run',
      '--rm',
      '--pull=never',
      '--init',
      '--user=1000:1000',
      ...(run.idMapping === undefined ? [] : idMappingArgs(run.idMapping)),
      '--cap-drop=all',
      '--security-opt=no-new-privileges',
      '--network=none',
      '--tmpfs=/sys:ro,size=4k',
      '--ipc=none',
      '--tmpfs=/dev/shm:rw,nosuid,nodev,noexec,mode=1777,size=64m',
      '--image-volume=ignore',
      '--log-driver=none',
      `--timeout=${Math.ceil(run.timeoutMs / 1000)}`,
      '--',
      run.image,
      ...run.command,
    ];
    return this.#podman(args, asText, { timeoutMs: run.timeoutMs + 30_000 });
  }

  pull(image: string): Command<void> {
    return this.#podman(['pull', '--', image], asNothing, { timeoutMs: 900_000 });
  }

  importImage(archive: string, tag: string, labels: Readonly<Record<string, string>>): Command<void> {
    const changes = Object.entries(labels).map(([key, value]) => `--change=LABEL ${key}=${value}`);
    return this.#podman(
      ['import', '--quiet', '--change=CMD ["bash"]', ...changes, '--', archive, tag],
      asNothing,
      {
        timeoutMs: 300_000,
      },
    );
  }

  build(build: ImageBuild, tmpDir: string): Command<string> {
    // Every exit code is read here: what a failing step printed may stand in either stream.
    const okCodes = Array.from({ length: 256 }, (_, code) => code);
    const command = this.#podman(buildArgs(build), parseBuiltId, { timeoutMs: BUILD_MS + 60_000, okCodes });
    return { ...command, env: { ...command.env, TMPDIR: tmpDir } };
  }

  /** Containers that builds work in, and how old each is. */
  listBuildContainers(): Command<readonly BuildContainer[]> {
    return this.#podman(['ps', '--all', '--external', '--no-trunc', '--format=json'], parseBuildContainers);
  }

  /** Any rootless call makes the pause process that holds our user and mount namespaces; this is the cheapest. */
  /** Begins with a new user namespace; no container lives through it. */
  migrate(): Command<void> {
    return this.#podman(['system', 'migrate'], asNothing);
  }

  wakeNamespaces(): Command<string> {
    return this.#podman(['unshare', 'true'], asText);
  }

  #podman<T>(
    args: readonly string[],
    parse: Command<T>['parse'],
    options: { readonly timeoutMs?: number; readonly okCodes?: readonly number[] } = {},
  ): Command<T> {
    const base = podmanBase(this.#paths);
    return { file: 'podman', args: [...base.args, ...args], env: base.env, parse, ...options };
  }
}
