import { chmod, lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { asNothing, type CommandRunner } from '../core/command.ts';
import { SingleFlight } from '../core/keyed-mutex.ts';
import type { Progress } from '../engine/contract.ts';
import { loadToolchain } from './layer-loader.ts';

/** Where the directory is mounted while an image is built. */
export const BUILD_DOWNLOADS = '/run/terok-downloads';

/** Archives of Node and npm, fetched once with the host's own npm: a cache that may be deleted at any time. */
export class NodeArchiveStore {
  readonly directory: string;
  readonly #runner: CommandRunner;
  readonly #fetching = new SingleFlight<void>();

  constructor(deps: { readonly runner: CommandRunner; readonly directory: string }) {
    this.#runner = deps.runner;
    this.directory = deps.directory;
  }

  /** Sees to it that they are there. Throws what the host's npm fails with. */
  async provide(resources: string, env: Readonly<Record<string, string>>, progress: Progress): Promise<void> {
    const toolchain = await loadToolchain(resources);
    await mkdir(this.directory, { recursive: true, mode: 0o755 });
    const packages: readonly (readonly [string, string])[] = [
      [`node-linux-${toolchain.architecture}`, toolchain.node],
      ['npm', toolchain.npm],
    ];
    for (const [name, version] of packages)
      await this.#fetching.run(`${name}@${version}`, () => this.#fetch(name, version, env, progress));
  }

  async #fetch(
    name: string,
    version: string,
    env: Readonly<Record<string, string>>,
    progress: Progress,
  ): Promise<void> {
    const archive = path.join(this.directory, `${name}-${version}.tgz`);
    const info = await lstat(archive).catch(() => undefined);
    if (info?.isFile() === true && info.size > 0) return;
    progress(`Fetching ${name} ${version}`);
    const workdir = await mkdtemp(path.join(this.directory, '.fetching-'));
    try {
      // npm compares what comes with the checksum its registry names.
      await this.#runner.run({
        file: 'npm',
        args: ['pack', '--silent', `--pack-destination=${workdir}`, '--', `${name}@${version}`],
        env,
        cwd: workdir,
        timeoutMs: 300_000,
        parse: asNothing,
      });
      const [fetched] = await readdir(workdir);
      if (fetched === undefined) throw new Error(`npm fetched ${name} and left no archive`);
      await chmod(path.join(workdir, fetched), 0o644);
      await rename(path.join(workdir, fetched), archive);
    } finally {
      await rm(workdir, { recursive: true, force: true });
    }
  }
}
