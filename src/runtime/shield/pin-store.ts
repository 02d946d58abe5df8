import { access, mkdir, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

/** The files that network namespaces are bound to, one per task, in a private directory. */
export class PinStore {
  readonly #directory: string;

  constructor(deps: { readonly directory: string }) {
    this.#directory = deps.directory;
  }

  path(task: string): string {
    return path.join(this.#directory, task);
  }

  logPath(task: string): string {
    return path.join(this.#directory, `${task}.log`);
  }

  async create(task: string): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = await open(this.path(task), 'a', 0o600);
    await file.close();
    return this.path(task);
  }

  async has(task: string): Promise<boolean> {
    return await access(this.path(task)).then(
      () => true,
      () => false,
    );
  }

  async remove(task: string): Promise<void> {
    await Promise.all([rm(this.path(task), { force: true }), rm(this.logPath(task), { force: true })]);
  }

  async tasks(): Promise<readonly string[]> {
    const names = await readdir(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return [...new Set(names.map((name) => name.replace(/\.log$/, '')))];
  }
}
