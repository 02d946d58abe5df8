import path from 'node:path';
import { AgentLoader } from '../../src/runtime/agents/agent-loader.ts';
import type { Command, CommandRunner } from '../../src/runtime/core/command.ts';
import { asText } from '../../src/runtime/core/command.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { loadSubordinateRangeSync } from '../../src/runtime/core/subordinate-ids-loader.ts';
import { podmanBase } from '../../src/runtime/engine/podman/podman-commands.ts';
import { PodmanEngine } from '../../src/runtime/engine/podman/podman-engine.ts';
import { BaseArchiveStore } from '../../src/runtime/images/base-archive-store.ts';
import { BaseImage } from '../../src/runtime/images/base-image.ts';
import { DockerSettings, type ImageRequest } from '../../src/runtime/images/contract.ts';
import { HostSettingsStore } from '../../src/runtime/images/host-settings-store.ts';
import { ImageBuilder } from '../../src/runtime/images/image-builder.ts';
import { NodeArchiveStore } from '../../src/runtime/images/node-archive-store.ts';
import { gid, hostEnvironment, isRoot, realPaths, resourcesDir, runner, uid } from './host.ts';

export const paths = realPaths();

export interface BuilderOptions {
  readonly resources?: string;
  /** A person's own agents. */
  readonly own?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly home?: string;
  readonly runner?: CommandRunner;
  readonly cache?: string;
}

/** A builder on the user's own Podman store, with nothing remembered. */
export function imageBuilder(options: BuilderOptions = {}): ImageBuilder {
  const resources = options.resources ?? resourcesDir;
  const env = options.env ?? process.env;
  const used = options.runner ?? runner;
  const cache = options.cache ?? paths.cache;
  const engine = new PodmanEngine({
    runner: used,
    paths,
    uid,
    gid,
    logger: silentLogger,
    rootfulRange: () => loadSubordinateRangeSync({ owner: 'root' }),
  });
  return new ImageBuilder({
    engine,
    agents: new AgentLoader({
      bundled: path.join(resources, 'agents'),
      own: options.own ?? '/nonexistent',
      newSession: () => 'unused',
    }),
    base: new BaseImage({
      engine,
      runner: used,
      archives: new BaseArchiveStore({ directory: path.join(cache, 'base') }),
      isRoot,
    }),
    settings: new HostSettingsStore({
      runner: used,
      env,
      home: options.home ?? hostEnvironment()['HOME'] ?? '/',
      cache,
    }),
    nodeArchives: new NodeArchiveStore({ runner: used, directory: path.join(cache, 'downloads') }),
    resources,
    cache,
    instance: paths.instance,
    monotonicMs: () => performance.now(),
  });
}

/** The host's runner, which remembers what it was asked to run. */
export function recordingRunner(): CommandRunner & { readonly ran: string[] } {
  const ran: string[] = [];
  return {
    ran,
    run: <T>(command: Command<T>, options?: Parameters<CommandRunner['run']>[1]): Promise<T> => {
      ran.push([command.file, ...command.args.filter((argument) => !argument.startsWith('--'))].join(' '));
      return runner.run(command, options);
    },
    stream: (command) => runner.stream(command),
    detach: (command) => runner.detach(command),
  };
}

export function imageRequest(
  docker: Partial<DockerSettings> = {},
  project?: { readonly id: string; readonly directory: string },
): ImageRequest {
  return { project, docker: DockerSettings.parse({ agents: ['scripted'], ...docker }) };
}

export async function podman(...args: readonly string[]): Promise<string> {
  const base = podmanBase(paths.podman);
  return await runner.run({
    file: 'podman',
    args: [...base.args, ...args],
    env: base.env,
    timeoutMs: 120_000,
    parse: asText,
  });
}

/** Runs a command in a throw-away container, with no network. */
export async function inside(image: string, ...command: readonly string[]): Promise<string> {
  return await podman('run', '--rm', '--network=none', '--tmpfs=/sys:ro,size=4k', '--', image, ...command);
}
