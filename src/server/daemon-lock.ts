import path from 'node:path';
import { acquireProcessLock } from '../runtime/core/database.ts';
import { makePrivateDir } from '../runtime/core/files.ts';
import type { Paths } from '../runtime/core/paths.ts';
import { forgetHolder, type LockHolder, noteHolder } from './lock-holder-store.ts';

/** Only the owner may enter what the sockets, the lock and the state lie in. */
export async function prepareDirectories(paths: Paths, uid: number): Promise<void> {
  // Without a session directory ours lies in a world-writable one: anybody may have made it first.
  if (paths.runtime.startsWith(`${paths.xdgRuntime}/`) && path.dirname(paths.xdgRuntime) === '/tmp') {
    await makePrivateDir(paths.xdgRuntime, uid);
  }
  await makePrivateDir(paths.runtime, uid);
  await makePrivateDir(paths.state, uid);
}

/**
 * Makes this process the one of its state directory, and says so beside the lock: who comes second can then
 * name it. Throws ConflictError when another process holds it.
 */
export async function holdState(paths: Paths, holder: LockHolder): Promise<{ release(): Promise<void> }> {
  const lock = lockState(paths);
  // The note serves messages alone: a full disk that keeps it away does not keep the daemon away.
  await noteHolder(paths, holder).catch(() => undefined);
  return {
    release: async () => {
      await forgetHolder(paths).catch(() => undefined);
      lock.release();
    },
  };
}

/** One process per state directory. Throws ConflictError when another one holds it. */
export function lockState(paths: Paths): { release(): void } {
  return acquireProcessLock(path.join(paths.state, 'daemon.lock'));
}
