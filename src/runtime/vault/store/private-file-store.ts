import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { geteuid } from 'node:process';
import { HostError } from '../../core/errors.ts';

/**
 * Files of the vault. Whatever lies there that another user could have put, read or changed is refused: HostError, with
 * the path and what to do, and never with the content.
 */

/** Makes the directory where there is none. One in which others could replace a file is refused. */
export function assertPrivateDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const info = lstatSync(directory);
  if (!info.isDirectory()) throw refused(directory, 'is not a directory');
  if (info.uid !== ownUid()) throw refused(directory, 'belongs to another user');
  if ((info.mode & 0o022) !== 0) {
    throw refused(directory, 'can be written by others', `chmod go-w ${directory}`);
  }
}

/** Says whether there is one. */
export function isPrivateFile(file: string): boolean {
  const info = lstatSync(file, { throwIfNoEntry: false });
  if (info === undefined) return false;
  assertPrivate(file, info);
  return true;
}

/** Undefined when there is none. Neither follows a link nor waits at a pipe, and judges the very file it reads. */
export function readPrivateFile(file: string, maxBytes: number): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return undefined;
    throw refused(file, code === 'ELOOP' ? 'is a link' : `cannot be opened (${code})`);
  }
  try {
    assertPrivate(file, fstatSync(descriptor));
    const buffer = Buffer.alloc(maxBytes + 1);
    const length = readSync(descriptor, buffer, 0, buffer.length, 0);
    if (length > maxBytes) throw refused(file, 'is too large for what it should hold');
    const text = buffer.toString('utf8', 0, length);
    buffer.fill(0);
    return text;
  } finally {
    closeSync(descriptor);
  }
}

/** On the disk when it returns, its name included; a part of it never stays. Throws EEXIST where something stands there, HostError where it cannot be written. */
export function createPrivateFile(file: string, content: string): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = constants;
  withDescriptor(openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600), (descriptor) => {
    try {
      fchmodSync(descriptor, 0o600);
      writeFileSync(descriptor, content);
      fsyncSync(descriptor);
    } catch (error) {
      rmSync(file, { force: true });
      throw new HostError(`${file} cannot be written (${codeOf(error)})`, {
        hint: 'Make room on its disk and try again; nothing was stored.',
      });
    }
  });
  withDescriptor(openSync(path.dirname(file), O_RDONLY | O_DIRECTORY), fsyncSync);
}

function withDescriptor(descriptor: number, use: (descriptor: number) => void): void {
  try {
    use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function assertPrivate(file: string, info: Stats): void {
  if (info.isSymbolicLink()) throw refused(file, 'is a link');
  if (!info.isFile()) throw refused(file, 'is not a regular file');
  if (info.uid !== ownUid()) throw refused(file, 'belongs to another user');
  if ((info.mode & 0o077) !== 0) throw refused(file, 'is open to others', `chmod 600 ${file}`);
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';

const ownUid = (): number => geteuid?.() ?? 0;

function refused(what: string, why: string, fix?: string): HostError {
  return new HostError(`${what} ${why}, so the vault does not use it`, {
    hint:
      fix === undefined
        ? 'Put the right one in its place, owned by you and closed to others (0600). If somebody else can have read it, get new credentials.'
        : `If nobody else can have read it, run "${fix}"; otherwise get new credentials as well.`,
  });
}
