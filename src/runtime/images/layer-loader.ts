import { readFile } from 'node:fs/promises';
import { arch } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { InvalidInputError } from '../core/errors.ts';
import { L0_FILES, type LayerSources, TEMPLATES } from './dockerfile.ts';
import type { ContextFile } from './layers.ts';

/** Configuration files of `resources/container/`; everything else there is a program. */
const NOT_EXECUTABLE: readonly string[] = ['gitconfig', 'profile.sh', 'container-tmux.conf'];
const Toolchain = z.strictObject({ node: z.string(), npm: z.string() });

/** Versions of Node and npm in the images, and npm's word for this machine's processor. */
export async function loadToolchain(resources: string): Promise<LayerSources['toolchain']> {
  const text = await readFile(path.join(resources, 'images/node.json'), 'utf8');
  return { ...Toolchain.parse(JSON.parse(text)), architecture: arch() };
}

/** Reads templates and the files the layers copy. Throws InvalidInputError for an unknown bundled program. */
export async function loadLayerSources(options: {
  readonly resources: string;
  readonly programs: readonly string[];
}): Promise<LayerSources> {
  const { resources, programs } = options;
  const image = (name: string): Promise<string> => readFile(path.join(resources, 'images', name), 'utf8');
  const [texts, installer, toolchain, l0Files, bundled] = await Promise.all([
    Promise.all(TEMPLATES.map(image)),
    image('install-agent.sh'),
    loadToolchain(resources),
    Promise.all(L0_FILES.map((name) => loadContextFile(resources, name))),
    Promise.all(programs.map((name) => loadContextFile(resources, name))),
  ]);
  const [l0Deb = '', l0Rpm = '', l0Common = '', l1 = '', node = '', pythonDeb = '', pythonRpm = '', l2 = ''] =
    texts;
  return {
    templates: {
      'l0.deb.Dockerfile': l0Deb,
      'l0.rpm.Dockerfile': l0Rpm,
      'l0.common.Dockerfile': l0Common,
      'l1.Dockerfile': l1,
      'node.Dockerfile': node,
      'python.deb.Dockerfile': pythonDeb,
      'python.rpm.Dockerfile': pythonRpm,
      'l2.Dockerfile': l2,
    },
    l0Files,
    installer: { name: 'install-agent.sh', content: installer, isExecutable: true },
    bundled: new Map(bundled.map((file) => [file.name, file])),
    toolchain,
  };
}

/** The script that looks into a finished image. */
export async function loadInventoryScript(resources: string): Promise<string> {
  return await readFile(path.join(resources, 'images/take-inventory.sh'), 'utf8');
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
