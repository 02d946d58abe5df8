import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError } from '../../core/errors.ts';
import { readBounded } from '../../core/files.ts';
import { ProjectId } from '../../core/ids.ts';
import { Secret } from '../../core/secret.ts';

const MAX_KEY_BYTES = 32 * 1024;
/** ed25519 before rsa, and names without anything after them first. */
const NAME = /^id_(?:ed25519|rsa)(?:_[A-Za-z0-9._-]{1,100})?$/;

export interface LegacyKey {
  readonly file: string;
  readonly text: Secret;
}

/**
 * The private key that an earlier release kept as a file for this project; undefined where there is none. Throws
 * InvalidInputError for one that is a link, no regular file, too large, another user's or open to others: whoever could
 * have put or read it is not known.
 */
export async function loadLegacyKey(
  root: string,
  project: string,
  uid: number,
): Promise<LegacyKey | undefined> {
  if (!ProjectId.safeParse(project).success) return undefined;
  const directory = path.join(root, project);
  const names = await listDirectory(directory);
  const [name] = names.filter((candidate) => NAME.test(candidate) && !candidate.endsWith('.pub')).toSorted();
  if (name === undefined) return undefined;
  const file = path.join(directory, name);
  let handle: FileHandle;
  try {
    handle = await open(
      file,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
  } catch (error) {
    const code = codeOf(error);
    throw refused(file, code === 'ELOOP' ? 'is a link' : `cannot be opened (${code})`);
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw refused(file, 'is not a regular file');
    if (info.uid !== uid) throw refused(file, 'belongs to another user');
    if ((info.mode & 0o077) !== 0) throw refused(file, 'is open to others', `chmod 600 ${file}`);
    const { text, problem } = await readBounded(handle, MAX_KEY_BYTES);
    if (text === undefined) throw refused(file, problem);
    return { file, text: new Secret(text) };
  } finally {
    await handle.close();
  }
}

/** Opened as what it is: a link in the place of the project's directory is not followed. */
async function listDirectory(directory: string): Promise<readonly string[]> {
  let handle: FileHandle;
  try {
    handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return [];
    throw refused(
      directory,
      code === 'ELOOP' || code === 'ENOTDIR' ? 'is no directory, or a link' : `cannot be opened (${code})`,
    );
  }
  try {
    return await readdir(`/proc/self/fd/${handle.fd}`);
  } finally {
    await handle.close();
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';

function refused(what: string, why: string, fix?: string): InvalidInputError {
  return new InvalidInputError(`${what} ${why}, so its key is not imported`, {
    hint:
      fix === undefined
        ? 'Move it away, and a new key is made.'
        : `If nobody else can have read it, run "${fix}"; otherwise move it away, and a new key is made.`,
  });
}
