import path from 'node:path';
import { InvalidInputError } from '../core/errors.ts';
import { readPersonalFile } from '../core/files.ts';
import type { ImageRequest } from './contract.ts';
import { joinSnippet } from './snippet.ts';

const MAX_BYTES = 256 * 1024;

/** A project's Dockerfile lines. Throws InvalidInputError naming the file, and the line where it is one. */
export async function loadSnippet({ project, docker }: ImageRequest): Promise<string | undefined> {
  if (project === undefined) return undefined;
  const { user_snippet_file: name, user_snippet_inline: inline } = docker;
  const file = name === undefined ? undefined : path.resolve(project.directory, name);
  const read = file === undefined ? undefined : await readPersonalFile(file, MAX_BYTES);
  if (read?.problem !== undefined) {
    throw new InvalidInputError(`The snippet file ${file} ${read.problem}`, {
      hint: 'docker.user_snippet_file is relative to the directory of project.yml.',
    });
  }
  return joinSnippet([
    ...(read === undefined || file === undefined ? [] : [{ origin: file, text: read.text }]),
    ...(inline === undefined ? [] : [{ origin: 'docker.user_snippet_inline', text: inline }]),
  ]);
}
