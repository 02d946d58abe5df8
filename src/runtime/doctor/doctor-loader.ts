import { readdir, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { readTextIfExists } from '../core/files.ts';

/** Bytes a user without privileges may still write where `directory` is, or will be. */
export async function freeBytes(directory: string): Promise<number> {
  for (let current = directory; ; current = path.dirname(current)) {
    try {
      const { bavail, bsize } = await statfs(current);
      return bavail * bsize;
    } catch (error) {
      const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!isAbsent || current === path.dirname(current)) throw error;
    }
  }
}

/** selinux(8): the file exists only where the policy is loaded. */
export async function selinuxMode(): Promise<'absent' | 'permissive' | 'enforcing'> {
  const text = await readTextIfExists('/sys/fs/selinux/enforce');
  if (text === undefined) return 'absent';
  return text.trim() === '1' ? 'enforcing' : 'permissive';
}

/**
 * Who may look into the memory of this process besides root: the kernel gives the files of one that leaves no core dump
 * to root (proc(5)).
 */
export async function memoryReaders(): Promise<'nobody' | 'its user'> {
  const { uid } = await stat('/proc/self/mem');
  return uid === 0 ? 'nobody' : 'its user';
}

/** Files whose permissions let more than their owner read or write them; none where there is no such directory. */
export async function filesOpenToOthers(directory: string, prefix: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name.startsWith(prefix))
    .map(({ name }) => path.join(directory, name));
  const infos = await Promise.all(
    // Some come and go, like a database's own.
    files.map(async (file) => ({
      file,
      mode: await stat(file).then(
        ({ mode }) => mode,
        () => 0,
      ),
    })),
  );
  return infos.filter(({ mode }) => (mode & 0o077) !== 0).map(({ file }) => file);
}
