import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, type FileHandle, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { HostError } from './errors.ts';

/**
 * Makes a directory only its owner can enter, whatever the umask. Throws HostError when something else
 * stands there, or it belongs to another user: then nothing below it could be trusted.
 */
export async function makePrivateDir(directory: string, uid: number): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const info = await lstat(directory);
  if (!info.isDirectory() || info.uid !== uid) {
    throw new HostError(`${directory} is not a directory of user ${uid}`, {
      hint: `Remove ${directory} and try again.`,
    });
  }
  await chmod(directory, 0o700);
}

/** Replaces a file as a whole: readers see the old or the new content, and a crash leaves one of them. */
export async function writeFileAtomic(
  file: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  const temporary = path.join(
    path.dirname(file),
    `.${path.basename(file)}.${randomBytes(6).toString('hex')}`,
  );
  const handle = await open(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    mode,
  );
  try {
    await handle.writeFile(content);
    await handle.chmod(mode);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await rm(temporary, { force: true });
    throw error;
  }
  await handle.close();
  await rename(temporary, file);
}

/** Absent is `undefined`; any other failure is thrown. */
export async function readTextIfExists(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

const MEGABYTE = 1024 * 1024;

/** A file a person wrote, read as a whole; or why it could not be, in words that follow its name. */
export type PersonalFile =
  | { readonly text: string; readonly isAbsent?: undefined; readonly problem?: undefined }
  | { readonly text?: undefined; readonly isAbsent: boolean; readonly problem: string };

/**
 * Reads a regular file of UTF-8 text, following links, and at most the allowed size whatever `stat` said a moment
 * ago. A named pipe, a device, a directory, text that is not UTF-8 and an absent file are problems, never a wait.
 */
export async function readPersonalFile(file: string, maxBytes = MEGABYTE): Promise<PersonalFile> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK, a named pipe in its place would hold this call for ever.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    if (code === 'ENOENT') return { isAbsent: true, problem: 'does not exist' };
    return { isAbsent: false, problem: `cannot be read (${code})` };
  }
  try {
    return await readBounded(handle, maxBytes);
  } finally {
    await handle.close();
  }
}

/**
 * The text of an open file, with the same answers as `readPersonalFile`: at most the allowed size is read, and nothing
 * where the file says that it is larger.
 */
export async function readBounded(handle: FileHandle, maxBytes: number): Promise<PersonalFile> {
  const info = await handle.stat();
  if (!info.isFile()) return { isAbsent: false, problem: 'is not a regular file' };
  const tooLarge = { isAbsent: false, problem: `is larger than ${sizeInWords(maxBytes)}` };
  if (info.size > maxBytes) return tooLarge;
  const buffer = Buffer.alloc(maxBytes + 1);
  let length = 0;
  while (length <= maxBytes) {
    const { bytesRead } = await handle.read(buffer, length, maxBytes + 1 - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  if (length > maxBytes) return tooLarge;
  const text = decodeUtf8(buffer.subarray(0, length));
  return text === undefined ? { isAbsent: false, problem: 'is not UTF-8 text' } : { text };
}

const sizeInWords = (bytes: number): string =>
  bytes >= MEGABYTE ? `${Math.floor(bytes / MEGABYTE)} MB` : `${Math.floor(bytes / 1024)} KB`;

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
