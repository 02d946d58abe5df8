import { type ImageRequest, machineImages, projectImages } from '../../runtime/images/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';

/** The images of a project; without one those of the machine. Throws NotFoundError with the nearest names. */
export async function toImageRequest(
  runtime: Pick<Runtime, 'projects' | 'config'>,
  project: string | undefined,
): Promise<ImageRequest> {
  return project === undefined
    ? machineImages(await runtime.config.global())
    : projectImages(await runtime.projects.get(project));
}
