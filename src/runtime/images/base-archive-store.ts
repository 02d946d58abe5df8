import { chmod, lstat, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/** Built root file systems: a cache that may be deleted at any time. */
export class BaseArchiveStore {
  readonly #directory: string;
  readonly #shared: string | undefined;

  /** @param deps.shared A cache of the whole machine, read only when nobody but root could have written it. */
  constructor(deps: { readonly directory: string; readonly shared?: string | undefined }) {
    this.#directory = deps.directory;
    this.#shared = deps.shared;
  }

  async find(name: string): Promise<string | undefined> {
    if (this.#shared !== undefined && (await isRootsOwn(this.#shared, name)))
      return path.join(this.#shared, name);
    const own = path.join(this.#directory, name);
    const info = await lstat(own).catch(() => undefined);
    return info?.isFile() === true && info.size > 0 ? own : undefined;
  }

  /** Lets `build` write an archive, which takes its name only when it is complete. */
  async add(name: string, build: (temporary: string) => Promise<void>): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o755 });
    const workdir = await mkdtemp(path.join(this.#directory, '.building-'));
    try {
      const temporary = path.join(workdir, name);
      await build(temporary);
      await chmod(temporary, 0o644);
      const archive = path.join(this.#directory, name);
      await rename(temporary, archive);
      return archive;
    } finally {
      await rm(workdir, { recursive: true, force: true });
    }
  }

  /** Forgets an archive that turned out to be unusable; one of the machine's cache is not ours to delete. */
  async drop(archive: string): Promise<void> {
    if (path.dirname(archive) === this.#directory) await rm(archive, { force: true });
  }
}

/** Whether a file, and every directory above it, belongs to root and only root can write there. */
async function isRootsOwn(directory: string, name: string): Promise<boolean> {
  const parts = path.resolve(directory, name).split(path.sep);
  for (let depth = 1; depth <= parts.length; depth++) {
    const info = await lstat(parts.slice(0, depth).join(path.sep) || path.sep).catch(() => undefined);
    if (info === undefined || info.uid !== 0 || (info.mode & 0o022) !== 0) return false;
    if (depth === parts.length ? !info.isFile() || info.size === 0 : !info.isDirectory()) return false;
  }
  return true;
}

/** Content of those files that exist. */
export async function readExisting(files: readonly string[]): Promise<readonly string[]> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => undefined)));
  return texts.filter((text) => text !== undefined);
}

/** Those of the files that exist. */
export async function keepExisting(files: readonly string[]): Promise<readonly string[]> {
  const infos = await Promise.all(files.map((file) => lstat(file).catch(() => undefined)));
  return files.filter((_, index) => infos[index] !== undefined);
}
