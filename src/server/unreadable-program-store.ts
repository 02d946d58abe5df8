import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import path from 'node:path';

const NAME = 'node';
const STALE_MS = 60_000;

/**
 * A copy of a program that its user may execute and not read (mode 0111). What execve(2) starts from such a file the
 * kernel makes undumpable: no other process of the same user may trace it, read its memory or environment, and it
 * leaves no core dump (proc(5), ptrace(2), core(5)). Children of it are as ever. The copy is written aside and
 * renamed, and made anew when the program has changed. Throws what file operations throw; `runs` says whether a new copy works here.
 */
export function unreadableCopy(options: {
  readonly program: string;
  readonly directory: string;
  readonly uid: number;
  readonly pid: number;
  readonly runs: (copy: string) => boolean;
}): string {
  const { program, directory, uid } = options;
  const copy = path.join(directory, NAME);
  if (program === copy) return copy;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const place = lstatSync(directory);
  if (!place.isDirectory() || place.uid !== uid)
    throw new Error(`${directory} is not a directory of this user`);
  chmodSync(directory, 0o700);
  const original = statSync(program);
  const present = lstatSync(copy, { throwIfNoEntry: false });
  const isCurrent =
    present?.isFile() === true &&
    present.uid === uid &&
    (present.mode & 0o7777) === 0o111 &&
    present.size === original.size &&
    Math.floor(present.mtimeMs / 1000) === Math.floor(original.mtimeMs / 1000);
  if (isCurrent) return copy;
  removeStale(directory);
  const beside = `${copy}.${options.pid}`;
  rmSync(beside, { force: true });
  try {
    copyFileSync(program, beside, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    chmodSync(beside, 0o111);
    utimesSync(beside, original.atime, Math.floor(original.mtimeMs / 1000));
    if (!options.runs(beside)) throw new Error(`a copy of ${program} does not run in ${directory}`);
    renameSync(beside, copy);
  } finally {
    rmSync(beside, { force: true });
  }
  return copy;
}

/** What a launcher that was killed left: no other takes a minute. */
function removeStale(directory: string): void {
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name);
    const age = Date.now() - (lstatSync(file, { throwIfNoEntry: false })?.ctimeMs ?? 0);
    if (name !== NAME && age > STALE_MS) rmSync(file, { force: true });
  }
}
