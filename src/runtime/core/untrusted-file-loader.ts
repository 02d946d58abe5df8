import { constants, type Dir, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, opendir } from 'node:fs/promises';
import { readBounded } from './files.ts';

/**
 * Files in a directory that a container writes. `root` is a directory of ours; every step below it is opened by its
 * name in the directory that is held open (`/proc/self/fd/N/name`, as openat(2) would), and refused when it is a link.
 * So whatever is renamed meanwhile, nothing outside `root` is reached. A step may still be replaced between the look at
 * its kind and its opening: O_NOFOLLOW, O_NONBLOCK and a second look at what was opened cover that, and at worst
 * a named pipe is opened and closed again unread.
 */
export interface UntrustedPath {
  /** Host path. */
  readonly root: string;
  /** Names below it, without "." and "..". */
  readonly names: readonly string[];
}

/** A file's text, or why there is none, in words that follow its name. */
export type UntrustedFile =
  | { readonly text: string; readonly modifiedAt: Date; readonly problem?: undefined }
  | { readonly text?: undefined; readonly isAbsent: boolean; readonly problem: string };

export interface UntrustedEntry {
  readonly name: string;
  readonly isDirectory: boolean;
  readonly isFile: boolean;
  readonly modifiedAt: Date;
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;

/** Reads a regular file of UTF-8 text of at most `maxBytes`. Never throws for what a container made of it. */
export async function readUntrustedFile(file: UntrustedPath, maxBytes: number): Promise<UntrustedFile> {
  try {
    const name = file.names.at(-1) ?? '.';
    return await inDirectory(parentOf(file), async (directory) => {
      const target = `${directory}/${name}`;
      const kind = describeKind(await lstat(target));
      if (kind !== undefined) return { isAbsent: false, problem: kind };
      const handle = await open(target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
      try {
        const { mtime: modifiedAt } = await handle.stat();
        const content = await readBounded(handle, maxBytes);
        return content.text === undefined ? content : { text: content.text, modifiedAt };
      } finally {
        await handle.close();
      }
    });
  } catch (error) {
    return whyUnreadable(error);
  }
}

/** What stands there, links not followed; undefined where nothing does, or a link is on the way. */
export async function lookUntrusted(place: UntrustedPath): Promise<UntrustedEntry | undefined> {
  const name = place.names.at(-1) ?? '.';
  return await inDirectory(parentOf(place), (directory) => look(directory, name)).catch(() => undefined);
}

/** At most `maxEntries` of what is in a directory; nothing where it cannot be read, or a link is on the way. */
export async function listUntrusted(
  place: UntrustedPath,
  maxEntries: number,
): Promise<readonly UntrustedEntry[]> {
  return await inDirectory(place, async (directory) => {
    const entries: UntrustedEntry[] = [];
    for (const name of await firstNames(await opendir(directory), maxEntries)) {
      const entry = await look(directory, name).catch(() => undefined);
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }).catch(() => []);
}

async function look(directory: string, name: string): Promise<UntrustedEntry> {
  const info = await lstat(`${directory}/${name}`);
  return { name, isDirectory: info.isDirectory(), isFile: info.isFile(), modifiedAt: info.mtime };
}

const parentOf = (place: UntrustedPath): UntrustedPath => ({ ...place, names: place.names.slice(0, -1) });

async function firstNames(directory: Dir, count: number): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { name } of directory) {
    if (names.length >= count) break;
    names.push(name);
  }
  return names;
}

/** Calls back with a path that leads to the directory for as long as the call lasts. */
async function inDirectory<T>(directory: UntrustedPath, use: (directory: string) => Promise<T>): Promise<T> {
  let handle: FileHandle = await open(directory.root, O_RDONLY | O_DIRECTORY);
  try {
    for (const name of directory.names) {
      const next = await open(`/proc/self/fd/${handle.fd}/${name}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      await handle.close();
      handle = next;
    }
    return await use(`/proc/self/fd/${handle.fd}`);
  } finally {
    await handle.close();
  }
}

function describeKind(info: Stats): string | undefined {
  if (info.isFile()) return undefined;
  if (info.isSymbolicLink()) return 'is a link, which is not followed';
  return info.isDirectory() ? 'is a directory' : 'is not a regular file';
}

function whyUnreadable(error: unknown): UntrustedFile {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  if (code === 'ENOENT') return { isAbsent: true, problem: 'does not exist' };
  // ENOTDIR is what the kernel says of a link where a directory must be.
  if (code === 'ELOOP' || code === 'ENOTDIR')
    return { isAbsent: false, problem: 'lies behind a link or something that is no directory' };
  return { isAbsent: false, problem: `cannot be read (${code})` };
}
