import { statfs } from 'node:fs/promises';
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
