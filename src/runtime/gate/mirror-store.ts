import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HostError } from '../core/errors.ts';
import { readTextIfExists, writeFileAtomic } from '../core/files.ts';
import { splitCredentials } from '../core/upstream-url.ts';
import type { GitHost } from './git-environment.ts';

const UPSTREAM_RECORD = 'terok-upstream';
/** Longer than any push may take. */
const QUARANTINE_MS = 6 * 3_600_000;

/** The directories of the gate: `<gates>/<project>.git`, and `.host` for git's own empty home. */
export class MirrorStore {
  readonly #gates: string;

  constructor(deps: { readonly gates: string }) {
    this.#gates = deps.gates;
  }

  get root(): string {
    return this.#gates;
  }

  path(project: string): string {
    return path.join(this.#gates, `${project}.git`);
  }

  /** Where git's home and helper files are; `prepare` makes them. */
  host(env: GitHost['env']): GitHost {
    const directory = path.join(this.#gates, '.host');
    return {
      env,
      home: path.join(directory, 'home'),
      trustingConfig: path.join(directory, 'local-upstream.gitconfig'),
    };
  }

  async prepare(host: GitHost): Promise<void> {
    try {
      await mkdir(host.home, { recursive: true, mode: 0o700 });
      await writeFile(host.trustingConfig, '[safe]\n\tdirectory = *\n', { mode: 0o600 });
    } catch (cause) {
      throw new HostError(`The gate's directory ${this.#gates} cannot be written`, {
        hint: 'Check that it is yours and that the disk is not full.',
        cause,
      });
    }
  }

  /** A mirror appears by a rename, complete; so a directory that exists is one that works. */
  async exists(project: string): Promise<boolean> {
    return await stat(this.path(project)).then(
      () => true,
      () => false,
    );
  }

  /** A new directory to build a mirror in. What earlier, interrupted attempts left is removed. */
  async begin(project: string): Promise<string> {
    const prefix = `.new-${project}.git-`;
    for (const name of await readdir(this.#gates)) {
      if (name.startsWith(prefix)) await rm(path.join(this.#gates, name), { recursive: true, force: true });
    }
    const directory = path.join(this.#gates, `${prefix}${randomBytes(4).toString('hex')}`);
    await mkdir(directory, { mode: 0o700 });
    return directory;
  }

  async commit(directory: string, project: string, upstreamUrl: string): Promise<void> {
    const { url } = splitCredentials(upstreamUrl);
    await writeFile(path.join(directory, UPSTREAM_RECORD), `${url}\n`, { mode: 0o600 });
    await rename(directory, this.path(project));
  }

  async discard(directory: string): Promise<void> {
    await rm(directory, { recursive: true, force: true });
  }

  /** Removes what killed pushes left in quarantine; git itself waits two weeks with that. */
  async sweep(project: string): Promise<void> {
    const objects = path.join(this.path(project), 'objects');
    for (const name of await readdir(objects)) {
      const directory = path.join(objects, name);
      if (name.startsWith('tmp_objdir-') && (await stat(directory)).mtimeMs < Date.now() - QUARANTINE_MS) {
        await rm(directory, { recursive: true, force: true });
      }
    }
  }

  /**
   * Keeps what an upstream wants to see in a file of its own, for git to read; undefined removes it. Compared
   * each time, because git takes out of the file what an upstream refused. Gives the file, if there is one.
   */
  async keepCredentials(project: string, credentials: string | undefined): Promise<string | undefined> {
    const file = path.join(this.#gates, `${project}.credentials`);
    if (credentials === undefined) {
      await rm(file, { force: true });
      return undefined;
    }
    if ((await readTextIfExists(file)) !== credentials) await writeFileAtomic(file, credentials);
    return file;
  }

  /** The upstream a mirror was made from, without credentials. */
  async upstreamOf(project: string): Promise<string | undefined> {
    const file = path.join(this.path(project), UPSTREAM_RECORD);
    const recorded = await readFile(file, 'utf8').then(
      (text) => text.trim(),
      () => undefined,
    );
    if (recorded === undefined) return undefined;
    const { url } = splitCredentials(recorded);
    // Earlier releases wrote it down whole.
    if (url !== recorded) await writeFileAtomic(file, `${url}\n`);
    return url;
  }
}
