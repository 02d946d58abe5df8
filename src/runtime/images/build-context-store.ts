import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Layer } from './layers.ts';

/** A directory that holds one layer's Dockerfile and, below `files/`, exactly what it copies. */
export interface BuildContext extends AsyncDisposable {
  readonly dockerfile: string;
  readonly directory: string;
}

/**
 * Writes a layer out for the engine. File modes are ours, not those of the checkout, so that the image does
 * not depend on somebody's umask.
 */
export async function makeBuildContext(cache: string, layer: Layer): Promise<BuildContext> {
  await mkdir(cache, { recursive: true, mode: 0o755 });
  const root = await mkdtemp(path.join(cache, 'build-'));
  const remove = async (): Promise<void> => {
    await rm(root, { recursive: true, force: true });
  };
  try {
    const directory = path.join(root, 'files');
    const dockerfile = path.join(root, 'Dockerfile');
    await mkdir(directory);
    await writeFile(dockerfile, layer.dockerfile);
    for (const file of layer.files) {
      await writeFile(path.join(directory, file.name), file.content, {
        mode: file.isExecutable ? 0o755 : 0o644,
      });
    }
    return { dockerfile, directory, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
