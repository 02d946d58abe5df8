import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * The process that holds the user and mount namespaces of rootless Podman, or undefined when there is none.
 * Pids are reused, so a recorded one counts only if it is a pause process of this user.
 */
export async function loadPausePid(directories: readonly string[], uid: number): Promise<number | undefined> {
  for (const directory of directories) {
    const pid = Number(await readFile(path.join(directory, 'pause.pid'), 'utf8').catch(() => ''));
    if (Number.isInteger(pid) && pid > 1 && (await isPauseProcess(pid, uid))) return pid;
  }
  return undefined;
}

async function isPauseProcess(pid: number, uid: number): Promise<boolean> {
  try {
    const [name, info] = await Promise.all([readFile(`/proc/${pid}/comm`, 'utf8'), stat(`/proc/${pid}`)]);
    return info.uid === uid && /^(catatonit|podman|conmon)/.test(name);
  } catch {
    return false;
  }
}
