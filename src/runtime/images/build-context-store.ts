import { chmod, lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError } from '../core/errors.ts';
import type { ContextFile } from './layers.ts';
import { makeScratch } from './scratch-store.ts';

/** A directory that holds one layer's Dockerfile and, below `files/`, exactly what it copies. */
export interface BuildContext extends AsyncDisposable {
  readonly dockerfile: string;
  readonly directory: string;
}

/** The Dockerfile in the directory of a build. */
export const dockerfileOf = (scratch: string): string => path.join(scratch, 'Dockerfile');

/** Writes a layer out for the engine. */
export async function makeBuildContext(
  cache: string,
  layer: { readonly dockerfile: string; readonly files: readonly ContextFile[] },
): Promise<BuildContext> {
  const scratch = await makeScratch(cache, 'build');
  try {
    const directory = path.join(scratch.directory, 'files');
    const dockerfile = dockerfileOf(scratch.directory);
    await mkdir(directory);
    await writeFile(dockerfile, layer.dockerfile);
    await writeFiles(directory, layer.files);
    return { dockerfile, directory, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

/** Throws InvalidInputError unless the directory is empty or absent. */
export async function assertFreeDirectory(directory: string): Promise<void> {
  const info = await lstat(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new InvalidInputError(`${directory} cannot be looked at (${error.code})`, {
      hint: 'Name a directory that you may write to.',
    });
  });
  if (info === undefined) return;
  const isFree = info.isDirectory() && (await readdir(directory)).length === 0;
  if (isFree) return;
  throw new InvalidInputError(`${directory} ${info.isDirectory() ? 'is not empty' : 'is not a directory'}`, {
    hint: 'Name an empty directory, or one that does not exist yet.',
  });
}

/** Writes files into a directory, which is made where it is not there. Returns their paths, sorted. */
export async function writeFiles(
  directory: string,
  files: readonly ContextFile[],
): Promise<readonly string[]> {
  await mkdir(directory, { recursive: true });
  const written = new Set<string>();
  for (const file of files) {
    const target = path.join(directory, file.name);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, file.content);
    // Modes are ours, not those of a checkout or a umask, so that the image does not depend on them.
    await chmod(target, file.isExecutable ? 0o755 : 0o644);
    written.add(target);
  }
  return [...written].sort();
}
