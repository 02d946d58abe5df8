import { closeSync, constants, type Dir, fstatSync, openSync } from 'node:fs';
import { type FileHandle, open, opendir } from 'node:fs/promises';

/** open(2): the place itself, unread and not followed. Node names it not, and Linux takes it on every machine of ours. */
const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

export interface WalkedFile {
  /** Below the root; bytes that are no UTF-8 are shown as what they are in Latin-1. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Closed when the next file is asked for. */
  readonly handle: FileHandle;
}

/** Why something was passed over, in words that follow a path or a number. */
export interface WalkNotes {
  readonly onSkipped: (path: string, why: string) => void;
  readonly onLink: () => void;
  readonly onSpecial: () => void;
}

interface Level {
  readonly fd: number;
  readonly entries: Dir;
  readonly path: string;
}

/**
 * All regular files below a directory that a container may be writing right now. Every step is taken from a directory
 * that is held open, and what a name stands for is decided once, on a descriptor that neither follows nor reads
 * (O_PATH); that very thing is then opened. So whatever is renamed or replaced meanwhile, no link is followed, no pipe
 * or device is opened, and nothing outside is reached.
 */
export async function* walkFiles(
  root: string,
  maxDepth: number,
  notes: WalkNotes,
): AsyncGenerator<WalkedFile, void, void> {
  const levels: Level[] = [];
  const enter = async (fd: number, path: string): Promise<void> => {
    try {
      // Names as bytes: one that is no UTF-8 would not be found again under what it reads like.
      const entries = await opendir(throughFd(fd), { encoding: 'latin1', bufferSize: 256 });
      levels.push({ fd, entries, path });
    } catch (error) {
      closeSync(fd);
      notes.onSkipped(path, whyNot(error));
    }
  };
  try {
    const start = attempt(() => openSync(root, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    if (start.value === undefined) {
      if (codeOf(start.error) !== 'ENOENT') notes.onSkipped('.', whyNot(start.error));
      return;
    }
    await enter(start.value, '');
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const entry = await level.entries.read();
      if (entry === null) {
        levels.pop();
        await leave(level);
        continue;
      }
      const path = level.path === '' ? entry.name : `${level.path}/${entry.name}`;
      const name = Buffer.from(`${throughFd(level.fd)}/${entry.name}`, 'latin1');
      const found = attempt(() => openSync(name, O_PATH | O_NOFOLLOW));
      if (found.value === undefined) {
        // Gone since it was listed.
        if (codeOf(found.error) !== 'ENOENT') notes.onSkipped(path, whyNot(found.error));
        continue;
      }
      const fd = found.value;
      const info = fstatSync(fd);
      if (info.isDirectory()) {
        if (levels.length < maxDepth) await enter(fd, path);
        else {
          closeSync(fd);
          notes.onSkipped(path, 'lies too deep');
        }
        continue;
      }
      try {
        if (info.isSymbolicLink()) notes.onLink();
        else if (!info.isFile()) notes.onSpecial();
        else if (info.size > 0) {
          const handle = await open(throughFd(fd), O_RDONLY | O_NONBLOCK | O_NOCTTY);
          try {
            yield { path, sizeBytes: info.size, handle };
          } finally {
            await handle.close();
          }
        }
      } catch (error) {
        if (codeOf(error) === undefined) throw error;
        notes.onSkipped(path, whyNot(error));
      } finally {
        closeSync(fd);
      }
    }
  } finally {
    await Promise.all(levels.map(leave));
  }
}

const throughFd = (fd: number): string => `/proc/self/fd/${fd}`;

async function leave({ fd, entries }: Level): Promise<void> {
  closeSync(fd);
  await entries.close();
}

function attempt<T>(action: () => T): { readonly value?: T; readonly error?: unknown } {
  try {
    return { value: action() };
  } catch (error) {
    return { error };
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined;

function whyNot(error: unknown): string {
  const code = codeOf(error) ?? 'unknown error';
  if (code === 'EACCES' || code === 'EPERM')
    return "belongs to another user of the container and can't be read";
  if (code === 'ELOOP' || code === 'ENOTDIR') return 'is a link, which is not followed';
  return `cannot be read (${code})`;
}
