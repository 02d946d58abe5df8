import { constants } from 'node:fs';
import { access, lstat, readFile, stat } from 'node:fs/promises';
import path from 'node:path';

/** Whether a program is in any of the directories. Looking changes nothing, unlike running it. */
export async function findProgram(name: string, directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    const file = path.join(directory, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}

/** Content of a file of /proc, /sys or /etc; undefined when it is absent or may not be read. */
export async function readHostFile(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch(() => undefined);
}

export async function hostPathExists(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  );
}

/** Permission bits of a character device; undefined when there is none of that name. */
export async function deviceMode(file: string): Promise<number | undefined> {
  const info = await stat(file).catch(() => undefined);
  return info?.isCharacterDevice() === true ? info.mode & 0o777 : undefined;
}

/** What stands at a path, its last link not followed; undefined when nothing does. */
export async function describePath(
  file: string,
): Promise<{ readonly isDirectory: boolean; readonly uid: number; readonly mode: number } | undefined> {
  const info = await lstat(file).catch(() => undefined);
  return info === undefined
    ? undefined
    : { isDirectory: info.isDirectory(), uid: info.uid, mode: info.mode & 0o777 };
}
