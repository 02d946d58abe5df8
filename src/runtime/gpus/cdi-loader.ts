import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { readPersonalFile } from '../core/files.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { CdiDevice, SpecProblem } from './gpu-hardware.ts';

const MAX_SPEC_BYTES = 4 * 1024 * 1024;

/** What we need of a specification (Container Device Interface, SPEC.md); the rest is for Podman. */
const Spec = z.looseObject({
  kind: z.string().regex(/^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/, 'no "vendor/class"'),
  devices: z.array(z.looseObject({ name: z.union([z.string().min(1), z.int()]).transform(String) })),
});

export interface CdiSpecs {
  readonly devices: readonly CdiDevice[];
  readonly problems: readonly SpecProblem[];
}

/** Reads all specifications. One that cannot be read or understood is a problem, never nothing. */
export async function loadCdiSpecs(directories: readonly string[]): Promise<CdiSpecs> {
  const loaded = await Promise.all(directories.map(loadDirectory));
  return {
    devices: loaded.flatMap(({ devices }) => devices),
    problems: loaded.flatMap(({ problems }) => problems),
  };
}

async function loadDirectory(directory: string): Promise<CdiSpecs> {
  try {
    const names = (await readdir(directory)).filter((name) => /\.(?:yaml|json)$/.test(name)).sort();
    const files = await Promise.all(names.map((name) => loadFile(path.join(directory, name))));
    return {
      devices: files.flatMap(({ devices }) => devices),
      problems: files.flatMap(({ problems }) => problems),
    };
  } catch (error) {
    if (isAbsent(error)) return { devices: [], problems: [] };
    return { devices: [], problems: [{ file: directory, problem: describe(error) }] };
  }
}

async function loadFile(file: string): Promise<CdiSpecs> {
  const { text, problem } = await readPersonalFile(file, MAX_SPEC_BYTES);
  if (text === undefined) return { devices: [], problems: [{ file, problem }] };
  try {
    const spec = Spec.parse(parse(text));
    return { devices: spec.devices.map(({ name }) => ({ kind: spec.kind, name })), problems: [] };
  } catch (error) {
    return { devices: [], problems: [{ file, problem: describe(error) }] };
  }
}

const isAbsent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

function describe(error: unknown): string {
  if (error instanceof z.ZodError) return cleanLine(z.prettifyError(error).replace(/\s+/g, ' '));
  return cleanLine(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
}
