import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command, CommandRunner } from '../../core/command.ts';
import { CommandError, ConflictError, HostError, NotFoundError } from '../../core/errors.ts';
import { makePrivateDir } from '../../core/files.ts';
import type { Logger } from '../../core/log.ts';
import type { Paths } from '../../core/paths.ts';
import type {
  ContainerEngine,
  ContainerSpec,
  ContainerState,
  EngineInfo,
  IdMapping,
  ImageBuild,
  ImageState,
  Progress,
} from '../contract.ts';
import { watchExits } from './exit-watcher.ts';
import { wasOutOfMemory } from './memory-kills.ts';
import { loadPausePid } from './pause-process-loader.ts';
import { BUILD_MS, hangUp, runBuild } from './podman-build.ts';
import { PodmanCommands } from './podman-commands.ts';
import type { PodmanInfo } from './podman-output.ts';
import { PodmanRecovery } from './podman-recovery.ts';

const EXIT_POLL_MS = 5_000;
const REMOVE_ATTEMPTS = 6;
export interface PodmanEngineDeps {
  readonly runner: CommandRunner;
  readonly paths: Paths;
  readonly uid: number;
  readonly gid: number;
  readonly logger: Logger;
  /** Host ids that container ids map to when we are root; asked for only then. */
  readonly rootfulRange: () => { readonly hostStart: number; readonly size: number } | undefined;
}

/** Podman behind the engine contract, through its command line, on a store of our own. */
export class PodmanEngine implements ContainerEngine {
  readonly #deps: PodmanEngineDeps;
  readonly #commands: PodmanCommands;
  readonly #podman: PodmanRecovery;
  #info: Promise<EngineInfo> | undefined;

  constructor(deps: PodmanEngineDeps) {
    this.#deps = deps;
    this.#commands = new PodmanCommands({ paths: deps.paths.podman });
    this.#podman = new PodmanRecovery({ runner: deps.runner, migrate: this.#commands.migrate() });
  }

  async info(signal?: AbortSignal): Promise<EngineInfo> {
    this.#info ??= this.#run(this.#commands.info(), signal).then(describeEngine);
    try {
      return await this.#info;
    } catch (error) {
      this.#info = undefined;
      throw error;
    }
  }

  idMapping(user: number): IdMapping {
    if (this.#deps.uid !== 0) return { kind: 'keep-id', user };
    return { kind: 'range', ...this.#range() };
  }

  hostOwner(user: number): { readonly uid: number; readonly gid: number } {
    if (this.#deps.uid !== 0) return { uid: this.#deps.uid, gid: this.#deps.gid };
    const { hostStart } = this.#range();
    return { uid: hostStart + user, gid: hostStart + user };
  }

  async launch(spec: ContainerSpec, signal?: AbortSignal): Promise<{ readonly id: string }> {
    try {
      return { id: await this.#run(this.#commands.run(spec), signal) };
    } catch (error) {
      const explained = explainLaunch(spec, error);
      // A container of that name from before is not ours to remove.
      if (!(explained instanceof ConflictError)) await this.#removeFailed(spec.name);
      throw explained;
    }
  }

  async start(name: string, signal?: AbortSignal): Promise<void> {
    if (await this.#run(this.#commands.start(name), signal)) return;
    throw new NotFoundError(`There is no container named ${name}`);
  }

  async stop(name: string, graceS: number, signal?: AbortSignal): Promise<void> {
    await this.#run(this.#commands.stop(name, graceS), signal);
  }

  async remove(name: string, signal?: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#run(this.#commands.remove(name), signal);
      } catch (error) {
        // Another Podman that starts or removes right now still holds a mount of this one.
        const isBusy =
          error instanceof CommandError &&
          /resource busy|layer is in use|in use by/i.test(error.details ?? '');
        if (!isBusy || attempt === REMOVE_ATTEMPTS) throw error;
        await delay(attempt * 50);
      }
    }
  }

  async inspect(name: string, signal?: AbortSignal): Promise<ContainerState | undefined> {
    const [state] = await this.inspectAll([name], signal);
    return state === undefined
      ? undefined
      : { ...state, wasOutOfMemory: await wasOutOfMemory(state, this.#deps.runner, signal) };
  }

  async inspectAll(names: readonly string[], signal?: AbortSignal): Promise<readonly ContainerState[]> {
    return names.length === 0 ? [] : await this.#run(this.#commands.inspect(names), signal);
  }

  async list(
    labels: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<readonly ContainerState[]> {
    const ids = await this.#run(this.#commands.list(labels), signal);
    return await this.inspectAll(ids, signal);
  }

  async imageLabels(
    tag: string,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, string>> | undefined> {
    return await this.#run(this.#commands.imageLabels(tag), signal);
  }

  async labelsOf(
    names: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    return names.length === 0 ? new Map() : await this.#run(this.#commands.labelsOf(names), signal);
  }

  async pull(image: string, progress: Progress, signal?: AbortSignal): Promise<void> {
    await this.#podman.run(this.#commands.pull(image), { signal, onLine: progress });
  }

  async importImage(
    archive: string,
    tag: string,
    labels: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#run(this.#commands.importImage(archive, tag, labels), signal);
  }

  async build(build: ImageBuild, progress: Progress, signal?: AbortSignal): Promise<string> {
    // Cache mounts lie under TMPDIR; the default is one directory for all users of the machine.
    const tmpDir = path.join(this.#deps.paths.cache, 'build');
    await makePrivateDir(tmpDir, this.#deps.uid);
    const command = this.#commands.build(build, tmpDir);
    return await runBuild(this.#deps.runner, { command, dockerfile: build.dockerfile }, progress, signal);
  }

  async abandonBuild(dockerfile: string): Promise<void> {
    await hangUp(this.#deps.runner, dockerfile);
  }

  async removeStaleBuilds(nowMs: number, signal?: AbortSignal): Promise<void> {
    const containers = await this.#run(this.#commands.listBuildContainers(), signal);
    // No build of any instance on this store takes so long.
    for (const { id, createdAtMs } of containers)
      if (nowMs - createdAtMs > 2 * BUILD_MS) await this.remove(id, signal);
  }

  async listImages(label: string, signal?: AbortSignal): Promise<readonly ImageState[]> {
    return await this.#run(this.#commands.listImages(label), signal);
  }

  async removeImage(image: string, signal?: AbortSignal): Promise<void> {
    const { problem } = await this.#run(this.#commands.removeImage(image), signal);
    if (problem === undefined) return;
    throw new ConflictError(`The image ${image} is still needed`, { details: problem });
  }

  async runOnce(run: Parameters<ContainerEngine['runOnce']>[0], signal?: AbortSignal): Promise<string> {
    return await this.#run(this.#commands.runOnce(run), signal);
  }

  async hostNamespacePrefix(signal?: AbortSignal): Promise<readonly string[]> {
    if (this.#deps.uid === 0) return [];
    const pid = (await this.#pausePid()) ?? (await this.#wakePauseProcess(signal));
    return ['nsenter', `--target=${pid}`, '--user', '--mount', '--preserve-credentials', '--'];
  }

  watchExits(listener: () => void): () => void {
    return watchExits(this.#deps.paths.podman.tmpDir, EXIT_POLL_MS, listener);
  }

  /** Without the caller's signal: it may be what ended the start. */
  async #removeFailed(name: string): Promise<void> {
    await this.remove(name).catch((cause: unknown) => {
      this.#deps.logger.warn(
        { container: name, error: String(cause) },
        'a container that failed to start was not removed',
      );
    });
  }

  async #wakePauseProcess(signal?: AbortSignal): Promise<number> {
    await this.#run(this.#commands.wakeNamespaces(), signal);
    const pid = await this.#pausePid();
    if (pid !== undefined) return pid;
    throw new HostError('Rootless Podman keeps no namespace to put task networks in', {
      hint: 'Run "terok-mcp doctor"; user namespaces or subordinate ids may be missing.',
    });
  }

  #pausePid(): Promise<number | undefined> {
    const { paths, uid } = this.#deps;
    return loadPausePid([paths.podman.tmpDir, path.join(paths.xdgRuntime, 'libpod/tmp')], uid);
  }

  #range(): { readonly hostStart: number; readonly size: number } {
    const range = this.#deps.rootfulRange();
    if (range !== undefined) return range;
    throw new HostError('No subordinate id range is set aside for containers of root', {
      hint: 'Run "terok-mcp setup".',
    });
  }

  #run<T>(command: Command<T>, signal?: AbortSignal): Promise<T> {
    return this.#podman.run(command, { signal });
  }
}

function describeEngine(info: PodmanInfo): EngineInfo {
  return {
    name: 'podman',
    version: info.version,
    isRootless: info.isRootless,
    storageDriver: info.storageDriver,
    ociRuntime: info.ociRuntime,
    cgroupVersion: info.cgroupVersion,
    limitsUnavailable: whyNoLimits(info),
  };
}

/** Rootless limits need cgroup v2 with the controllers delegated (podman-run(1), "Resource limits"). */
function whyNoLimits(info: PodmanInfo): string | undefined {
  if (!info.isRootless) return undefined;
  if (info.cgroupVersion !== 'v2')
    return 'rootless Podman enforces no memory, cpu or process limit on cgroups v1';
  const missing = ['memory', 'pids', 'cpu'].filter(
    (controller) => !info.cgroupControllers.includes(controller),
  );
  return missing.length === 0
    ? undefined
    : `the ${missing.join(', ')} controller is not delegated to this user`;
}

function explainLaunch(spec: ContainerSpec, error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  if (/name .* is (already )?in use|already in use by/i.test(error.details ?? '')) {
    return new ConflictError(`A container named ${spec.name} exists already`, {
      details: error.details,
      cause: error,
    });
  }
  if (/unresolvable CDI devices/i.test(error.details ?? '')) {
    return new HostError(`Podman does not know the GPU ${spec.devices.cdi.join(', ')}`, {
      hint: 'It reads /etc/cdi and /var/run/cdi; Podman 4 understands specifications up to version 0.5.0 ("cdiVersion").',
      details: error.details,
      cause: error,
    });
  }
  if (/image not known|no such image/i.test(error.details ?? '')) {
    return new HostError(`The image ${spec.image} is not there`, {
      hint: 'Run "terok-mcp setup".',
      cause: error,
    });
  }
  return error;
}
