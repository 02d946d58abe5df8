import { constants } from 'node:fs';
import { chown, lstat, mkdir, mkdtemp, open, rename } from 'node:fs/promises';
import path from 'node:path';
import type { AgentRun } from '../agents/contract.ts';
import { deepMerge, isMapping } from '../core/deep-merge.ts';
import { HostError } from '../core/errors.ts';
import type { PersonalFile } from './personal-home-loader.ts';

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Makes the directories that hold an agent's conversations, each to be mounted by itself, with the files that it
 * finds there at its very first start: the person's own, and those of the roster, which are stronger. One that is
 * there already is the agent's and is left as it is: its content may be anything, so nothing in it is looked at.
 * Returns what of the person's could not be used.
 */
export async function prepareAgentHome(
  home: string,
  { state, firstState, personal = [] }: Pick<AgentRun, 'state' | 'firstState'> & Personal,
  owner: Owner,
): Promise<readonly string[]> {
  const problem = mountProblem(state);
  if (problem !== undefined) throw new Error(problem);
  const problems: string[] = [];
  if (!(await isDirectory(home))) await mkdir(home, { mode: 0o700 });
  for (const directory of state) {
    const target = path.join(home, directory);
    await makeParents(home, directory);
    if (await isDirectory(target)) continue;
    // Whole or not at all: what a crash leaves has another name.
    const staging = await mkdtemp(path.join(home, '.new-'));
    await chown(staging, owner.uid, owner.gid);
    const { files, problems: unusable } = firstFiles(personal, firstState);
    problems.push(...unusable);
    for (const file of files.filter((one) => one.path.startsWith(`${directory}/`)))
      await writeFirst(staging, { ...file, path: path.relative(directory, file.path) }, owner);
    await rename(staging, target);
  }
  return [...new Set(problems)];
}

interface Personal {
  readonly personal?: readonly PersonalFile[] | undefined;
}

/** Ours are JSON: they are laid over what a person has in a file of the same name. */
function firstFiles(
  personal: readonly PersonalFile[],
  firstState: AgentRun['firstState'],
): { readonly files: readonly PersonalFile[]; readonly problems: readonly string[] } {
  const files = new Map(personal.map((file) => [file.path, file]));
  const problems: string[] = [];
  for (const { path: name, content } of firstState) {
    const below = files.get(name);
    const merged = below === undefined ? content : mergeJson(below.content.toString('utf8'), content);
    if (merged === undefined) problems.push(`Your ${name} is no JSON object, so tasks do not get it.`);
    files.set(name, { path: name, content: Buffer.from(merged ?? content), isExecutable: false });
  }
  return { files: [...files.values()], problems };
}

function mergeJson(below: string, above: string): string | undefined {
  try {
    const base: unknown = JSON.parse(below);
    const ours: unknown = JSON.parse(above);
    if (!isMapping(base) || !isMapping(ours)) return undefined;
    return `${JSON.stringify(deepMerge(base, ours), undefined, 2)}\n`;
  } catch {
    return undefined;
  }
}

/**
 * A mount below another's could be replaced by a link from inside, and Podman would follow it at the next start:
 * then the container had a directory of the host that it chose itself.
 */
export function mountProblem(state: readonly string[]): string | undefined {
  const all = [...state, '.terok'];
  for (const outer of all) {
    const inner = all.find((one) => one !== outer && one.startsWith(`${outer}/`));
    if (inner !== undefined) return `the state directory ${inner} lies in ${outer}`;
  }
  return new Set(all).size === all.length ? undefined : 'a state directory is there twice';
}

/** These are the host's alone, and still must not be links. */
async function makeParents(home: string, relative: string): Promise<void> {
  let directory = home;
  for (const part of relative.split('/').slice(0, -1)) {
    directory = path.join(directory, part);
    if (!(await isDirectory(directory))) await mkdir(directory, { mode: 0o700 });
  }
}

async function isDirectory(target: string): Promise<boolean> {
  const info = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (info !== undefined && !info.isDirectory())
    throw new HostError(`${target} is not a directory`, { hint: 'Delete the task.' });
  return info !== undefined;
}

/** Nobody but us has seen the directory yet. */
async function writeFirst(
  directory: string,
  { path: relative, content, isExecutable }: PersonalFile,
  owner: Owner,
): Promise<void> {
  let parent = directory;
  for (const part of path.dirname(relative).split('/')) {
    if (part === '.') break;
    parent = path.join(parent, part);
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await chown(parent, owner.uid, owner.gid);
  }
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(path.join(parent, path.basename(relative)), flags, isExecutable ? 0o700 : 0o600);
  try {
    await handle.writeFile(content);
    await handle.chown(owner.uid, owner.gid);
  } finally {
    await handle.close();
  }
}
