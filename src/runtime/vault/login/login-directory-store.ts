import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chown, lstat, mkdir, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { geteuid } from 'node:process';
import { makePrivateDir } from '../../core/files.ts';
import { listUntrusted, readUntrustedFile, type UntrustedFile } from '../../core/untrusted-file-loader.ts';
import { cleanLine } from '../../core/untrusted-text.ts';

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_NAMES = 20;
const MAX_DEPTH = 16;
const { O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

export interface LoginDirectory {
  /** Mounted into the login's container. */
  readonly home: string;
  /** Where its output goes, which may show a token. */
  readonly log: string;
}

/** Where logins leave their files: directories that live as long as a login does. */
export class LoginDirectoryStore {
  readonly #directory: string;

  constructor(deps: { readonly directory: string }) {
    this.#directory = deps.directory;
  }

  async create(id: string, owner: { readonly uid: number; readonly gid: number }): Promise<LoginDirectory> {
    await makePrivateDir(this.#directory, geteuid?.() ?? 0);
    const place = this.#placeOf(id);
    await mkdir(place.home, { recursive: true, mode: 0o700 });
    await chown(place.home, owner.uid, owner.gid);
    return place;
  }

  async read(id: string, file: string): Promise<UntrustedFile> {
    return await readUntrustedFile(
      { root: this.#placeOf(id).home, names: file.split('/').filter((name) => name !== '' && name !== '.') },
      MAX_FILE_BYTES,
    );
  }

  /** What is in it, for a person who wonders; cleaned. */
  async names(id: string): Promise<readonly string[]> {
    const entries = await listUntrusted({ root: this.#placeOf(id).home, names: [] }, MAX_NAMES);
    return entries.map(({ name }) => cleanLine(name, 60));
  }

  /** Overwrites and removes, without reading and without following a link. One that is not there is fine. */
  async destroy(id: string): Promise<void> {
    const root = path.dirname(this.#placeOf(id).home);
    await overwrite(root, MAX_DEPTH);
    await rm(root, { recursive: true, force: true });
  }

  async ids(): Promise<readonly string[]> {
    return await readdir(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
  }

  #placeOf(id: string): LoginDirectory {
    const root = path.join(this.#directory, path.basename(id));
    return { home: path.join(root, 'home'), log: path.join(root, 'terminal.log') };
  }
}

/** Best effort: where a file system writes elsewhere, or a name is gone meanwhile, the removal still follows. */
async function overwrite(directory: string, depth: number): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const target = path.join(directory, entry.name);
    if (entry.isDirectory() && depth > 0) await overwrite(target, depth - 1);
    else if (entry.isFile()) await overwriteFile(target).catch(() => undefined);
  }
}

async function overwriteFile(file: string): Promise<void> {
  const { size } = await lstat(file);
  const handle = await open(file, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) return;
    await handle.write(randomBytes(Math.min(size, MAX_FILE_BYTES)), 0, undefined, 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
