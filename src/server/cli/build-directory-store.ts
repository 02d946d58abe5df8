import { rm } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError } from '../../runtime/core/errors.ts';
import { makePrivateDir } from '../../runtime/core/files.ts';
import { ProjectId } from '../../runtime/core/ids.ts';
import type { Paths } from '../../runtime/core/paths.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';

/** No project is called so: an id begins with a letter or digit. */
const SHARED = '_shared';

/**
 * Our own place for the Dockerfiles of a project, or of what all share; what an earlier call left is removed.
 * Throws InvalidInputError for what cannot be a project: a path must not come of it.
 */
export async function emptyBuildDirectory(
  paths: Pick<Paths, 'state'>,
  { project, uid }: { readonly project: string | undefined; readonly uid: number },
): Promise<string> {
  const id = project === undefined ? undefined : ProjectId.safeParse(project);
  if (id?.success === false) {
    throw new InvalidInputError(`"${cleanLine(project ?? '', 80)}" is no project id`, {
      hint: '"terok-mcp project list" names the projects.',
    });
  }
  const parent = path.join(paths.state, 'core/build');
  await makePrivateDir(parent, uid);
  const directory = path.join(parent, id?.data ?? SHARED);
  await rm(directory, { recursive: true, force: true });
  return directory;
}
