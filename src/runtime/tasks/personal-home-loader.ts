import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import path from 'node:path';

const MAX_FILES = 500;
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 16;

/** One file that a person keeps for an agent. */
export interface PersonalFile {
  /** Below the container's home. */
  readonly path: string;
  readonly content: Buffer;
  readonly isExecutable: boolean;
}

export interface PersonalHome {
  readonly files: readonly PersonalFile[];
  /** What was left out, and why, for whoever starts a task. */
  readonly problems: readonly string[];
}

interface Rules {
  /** Directories of the home that a task keeps for its agent: files for no other place. */
  readonly state: readonly string[];
  /** Files that would hold real credentials, by path. */
  readonly refused: ReadonlyMap<string, string>;
}

/**
 * Reads a person's own directory as a whole. It is not written by containers; links are refused all the same, for
 * a file of another place, a private key perhaps, would be given to every task.
 */
export async function loadPersonalHome(directory: string, { state, refused }: Rules): Promise<PersonalHome> {
  const files: PersonalFile[] = [];
  const problems: string[] = [];
  let bytes = 0;
  const leaveOut = (relative: string, why: string): void => {
    if (problems.length < 10)
      problems.push(`${path.join(directory, relative)} ${why}, so tasks do not get it.`);
  };
  /** What cannot be read is no reason not to start. */
  const readable = async <T>(relative: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      leaveOut(relative, `cannot be read (${String(error.code)})`);
      return undefined;
    }
  };
  const take = async (relative: string, info: Stats): Promise<void> => {
    const owner = refused.get(relative);
    if (owner !== undefined) {
      leaveOut(relative, `is where ${owner} keeps credentials; "terok-mcp auth ${owner}" stores them safely`);
    } else if (info.isSymbolicLink()) leaveOut(relative, 'is a link');
    else if (!info.isFile()) leaveOut(relative, 'is not a regular file');
    else if (!state.some((one) => relative.startsWith(`${one}/`)))
      leaveOut(relative, `is in none of the directories that a task keeps (${state.join(', ') || 'none'})`);
    else if (files.length >= MAX_FILES || bytes + info.size > MAX_BYTES)
      leaveOut(relative, `is beyond ${MAX_FILES} files or ${MAX_BYTES / 1024 / 1024} MiB`);
    else {
      const content = await readable(relative, () =>
        readFile(path.join(directory, relative), MAX_BYTES - bytes),
      );
      if (content === undefined) return;
      bytes += content.length;
      files.push({ path: relative, content, isExecutable: (info.mode & 0o100) !== 0 });
    }
  };
  const walk = async (relative: string, depth: number): Promise<void> => {
    const names = await readable(relative, () => namesIn(path.join(directory, relative)));
    for (const name of (names ?? []).toSorted()) {
      const inner = path.join(relative, name);
      const info = await lstat(path.join(directory, inner));
      if (!info.isDirectory()) await take(inner, info);
      else if (depth >= MAX_DEPTH) leaveOut(inner, 'lies too deep');
      else await walk(inner, depth + 1);
    }
  };
  await walk('', 0);
  return { files, problems };
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

async function readFile(file: string, maxBytes: number): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const content = Buffer.alloc(Math.min((await handle.stat()).size, maxBytes));
    const { bytesRead } = await handle.read(content, 0, content.length, 0);
    return content.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
