import { userInfo } from 'node:os';
import path from 'node:path';
import { AgentLoader } from './agents/agent-loader.ts';
import { ConfigLoader } from './config/config-loader.ts';
import type { CommandRunner } from './core/command.ts';
import { HostError } from './core/errors.ts';
import { HostCommandRunner } from './core/exec.ts';
import { type Logger, silentLogger } from './core/log.ts';
import type { Paths } from './core/paths.ts';
import { loadSubordinateRangeSync } from './core/subordinate-ids-loader.ts';
import { PodmanEngine } from './engine/podman/podman-engine.ts';
import { BaseArchiveStore } from './images/base-archive-store.ts';
import { BaseImage, type PrepareBuilder } from './images/base-image.ts';
import { type ImageRequest, machineImages } from './images/contract.ts';
import { HostSettingsStore } from './images/host-settings-store.ts';
import { ImageBuilder } from './images/image-builder.ts';
import { NodeArchiveStore } from './images/node-archive-store.ts';
import { findProgram } from './setup/host-loader.ts';
import type { NetworkProgram } from './shield/pinned-shield.ts';

export interface HostOptions {
  readonly paths: Paths;
  readonly uid: number;
  /** What programs of ours start with; has a PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** What the person set for npm and pip, which builds of images follow. */
  readonly packageEnv: Readonly<Record<string, string>>;
  readonly resourcesDir: string;
  readonly logger?: Logger;
}

/** Written by root for every user of the machine, and read only then. */
const SHARED_ARCHIVES = '/var/cache/terok/base';

export const programDirectories = (env: HostOptions['env']): readonly string[] =>
  (env['PATH'] ?? '').split(path.delimiter).filter((directory) => directory !== '');

/** What Podman, a Go program, takes for a proxy to https places. */
const hasProxy = (env: HostOptions['env']): boolean => Boolean(env['HTTPS_PROXY'] || env['https_proxy']);

/** The parts that set-up and the running system have in common. Only set-up installs programs. */
export function composeHost(
  options: HostOptions,
  prepareBuilder?: (runner: CommandRunner) => PrepareBuilder,
): {
  readonly runner: CommandRunner;
  readonly engine: PodmanEngine;
  readonly config: ConfigLoader;
  readonly agents: AgentLoader;
  readonly images: ImageBuilder;
  /** The images of projects that say nothing about theirs. */
  readonly machineImages: () => Promise<ImageRequest>;
} {
  const { paths, uid, env, packageEnv, resourcesDir } = options;
  const runner = new HostCommandRunner({ baseEnv: env });
  const engine = new PodmanEngine({
    runner,
    paths,
    uid,
    gid: userInfo().gid,
    logger: options.logger ?? silentLogger,
    rootfulRange: () => loadSubordinateRangeSync({ owner: 'root' }),
  });
  const config = new ConfigLoader({
    directory: paths.config,
    bundledInstructions: path.join(resourcesDir, 'instructions/default.md'),
  });
  const agents = new AgentLoader({
    bundled: path.join(resourcesDir, 'agents'),
    own: path.join(paths.config, 'agents'),
  });
  const images = new ImageBuilder({
    engine,
    agents,
    base: new BaseImage({
      engine,
      runner,
      isRoot: uid === 0,
      hasProxy: hasProxy(env),
      prepareBuilder: prepareBuilder?.(runner),
      archives: new BaseArchiveStore({ directory: path.join(paths.cache, 'base'), shared: SHARED_ARCHIVES }),
    }),
    settings: new HostSettingsStore({
      runner,
      env: { ...env, ...packageEnv },
      home: paths.home,
      cache: paths.cache,
    }),
    nodeArchives: new NodeArchiveStore({ runner, directory: path.join(paths.cache, 'downloads') }),
    resources: resourcesDir,
    cache: paths.cache,
    instance: paths.instance,
    monotonicMs: () => performance.now(),
  });
  return {
    runner,
    engine,
    config,
    agents,
    images,
    machineImages: async () => machineImages(await config.global()),
  };
}

/** slirp4netns first: it is up in 10 ms, where pasta takes 70 to 100 (measured, see ARCHITECTURE.md). */
export function networkProgramFinder(env: HostOptions['env']): () => Promise<NetworkProgram> {
  let found: NetworkProgram | undefined;
  return async () => {
    for (const name of ['slirp4netns', 'pasta'] as const) {
      if (found === undefined && (await findProgram(name, programDirectories(env))) !== undefined)
        found = name;
    }
    if (found !== undefined) return found;
    throw new HostError('Neither slirp4netns nor pasta is installed', { hint: 'Run "terok-mcp setup".' });
  };
}
