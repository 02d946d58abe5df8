import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError } from '../core/errors.ts';
import { L0_FILES, type LayerSources } from './dockerfile.ts';
import type { ContextFile } from './layers.ts';

/** Configuration files of `resources/container/`; everything else there is a program. */
const NOT_EXECUTABLE: readonly string[] = ['gitconfig'];

/** Reads templates and the files the layers copy. Throws InvalidInputError for an unknown bundled program. */
export async function loadLayerSources(options: {
  readonly resources: string;
  readonly programs: readonly string[];
}): Promise<LayerSources> {
  const { resources, programs } = options;
  const [l0Template, l1Template, l0Files, agentFiles] = await Promise.all([
    readFile(path.join(resources, 'images/l0.Dockerfile'), 'utf8'),
    readFile(path.join(resources, 'images/l1.Dockerfile'), 'utf8'),
    Promise.all(L0_FILES.map((name) => loadContextFile(resources, name))),
    Promise.all(programs.map((name) => loadContextFile(resources, name))),
  ]);
  return { l0Template, l1Template, l0Files, agentFiles };
}

async function loadContextFile(resources: string, name: string): Promise<ContextFile> {
  const file = path.join(resources, 'container', name);
  const content = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new InvalidInputError(`There is no bundled program "${name}"`, {
      hint: 'The "install.bundled" list of an agent file may only name programs that come with terok-mcp.',
      cause,
    });
  });
  return { name, content, isExecutable: !NOT_EXECUTABLE.includes(name) };
}
