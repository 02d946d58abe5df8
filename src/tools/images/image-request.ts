import { DockerSettings, type ImageRequest } from '../../runtime/images/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';

/** The images of a project; without one those of the machine. Throws NotFoundError with the nearest names. */
export async function toImageRequest(
  runtime: Pick<Runtime, 'projects' | 'config'>,
  project: string | undefined,
): Promise<ImageRequest> {
  if (project === undefined) {
    const { sections } = await runtime.config.global();
    return { project: undefined, docker: DockerSettings.parse(sections['docker'] ?? {}) };
  }
  const { id, directory, settings } = await runtime.projects.get(project);
  return { project: { id, directory }, docker: settings.docker };
}
