import { constants } from 'node:fs';
import { chown, lstat, mkdir, mkdtemp, open, rename } from 'node:fs/promises';
import path from 'node:path';
import type { AgentRun } from '../agents/contract.ts';
import { HostError } from '../core/errors.ts';

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Makes the directories that hold an agent's conversations, each to be mounted by itself, with the files that it
 * finds there at its very first start. One that is there already is the agent's and is left as it is: its content may
 * be anything, so nothing in it is looked at.
 */
export async function prepareAgentHome(
  home: string,
  { state, firstState }: Pick<AgentRun, 'state' | 'firstState'>,
  owner: Owner,
): Promise<void> {
  const problem = mountProblem(state);
  if (problem !== undefined) throw new Error(problem);
  if (!(await isDirectory(home))) await mkdir(home, { mode: 0o700 });
  for (const directory of state) {
    const target = path.join(home, directory);
    await makeParents(home, directory);
    if (await isDirectory(target)) continue;
    // Whole or not at all: what a crash leaves has another name.
    const staging = await mkdtemp(path.join(home, '.new-'));
    await chown(staging, owner.uid, owner.gid);
    for (const file of firstState.filter((one) => one.path.startsWith(`${directory}/`)))
      await writeFirst(staging, path.relative(directory, file.path), file.content, owner);
    await rename(staging, target);
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
async function writeFirst(directory: string, relative: string, content: string, owner: Owner): Promise<void> {
  let parent = directory;
  for (const part of path.dirname(relative).split('/')) {
    if (part === '.') break;
    parent = path.join(parent, part);
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await chown(parent, owner.uid, owner.gid);
  }
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(path.join(parent, path.basename(relative)), flags, 0o600);
  try {
    await handle.writeFile(content);
    await handle.chown(owner.uid, owner.gid);
  } finally {
    await handle.close();
  }
}
