import type { z } from 'zod';
import type { Progress } from '../../runtime/engine/contract.ts';
import type { ImageRecord } from '../../runtime/images/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { type BuildView, toBuildView } from '../../tools/images/build-view.ts';
import { toImageRequest } from '../../tools/images/image-request.ts';
import type { control, ImageView } from './control-protocol.ts';

/** What the command line asks about images. */

type Params<K extends keyof typeof control> = z.output<(typeof control)[K]['params']>;

/** The build ends with the connection, unless somebody else waits for it: a person who leaves has given it up. */
export async function buildImages(
  runtime: Runtime,
  { project, buildDir, ...what }: Params<'imagesBuild'>,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: Progress },
): Promise<BuildView> {
  const request = await toImageRequest(runtime, project);
  if (buildDir !== undefined) {
    const files = await runtime.images.generate(request, buildDir);
    progress(`Wrote ${files.length} files to ${buildDir}`);
  }
  const build = await runtime.builds.join(
    { ...request, ...what },
    { outlivesCaller: false },
    progress,
    signal,
  );
  if (build.state === 'building') throw new Error('a wait without a limit ended before the build');
  return toBuildView(build.result);
}

export async function generateBuildFiles(
  runtime: Runtime,
  { project, buildDir }: Params<'imagesGenerate'>,
): Promise<{ files: string[] }> {
  return { files: [...(await runtime.images.generate(await toImageRequest(runtime, project), buildDir))] };
}

export async function listImages(runtime: Runtime, signal: AbortSignal): Promise<{ images: ImageView[] }> {
  const images = await runtime.images.list(await existingProjects(runtime), signal);
  return { images: images.map(toImageView) };
}

export async function cleanUpImages(
  runtime: Runtime,
  { dryRun }: Params<'imagesCleanup'>,
  signal: AbortSignal,
): Promise<{ removed: ImageView[] }> {
  const projects = await existingProjects(runtime);
  return { removed: (await runtime.images.cleanup({ projects, dryRun }, signal)).map(toImageView) };
}

/** A project whose file is broken exists as well: its images are no leftovers. */
async function existingProjects({ projects }: Runtime): Promise<readonly string[]> {
  const { projects: valid, broken } = await projects.list();
  return [...valid, ...broken].map(({ id }) => id);
}

function toImageView({ id, tags, layer, project, sizeBytes, createdAt, state }: ImageRecord): ImageView {
  return { id, tags: [...tags], layer, project: project ?? null, sizeBytes, createdAt, state };
}
