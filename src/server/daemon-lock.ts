import path from 'node:path';
import { acquireProcessLock } from '../runtime/core/database.ts';
import { makePrivateDir } from '../runtime/core/files.ts';
import type { Paths } from '../runtime/core/paths.ts';

/** Only the owner may enter what the sockets, the lock and the state lie in. */
export async function prepareDirectories(paths: Paths, uid: number): Promise<void> {
  // Without a session directory ours lies in a world-writable one: anybody may have made it first.
  if (paths.runtime.startsWith(`${paths.xdgRuntime}/`) && path.dirname(paths.xdgRuntime) === '/tmp') {
    await makePrivateDir(paths.xdgRuntime, uid);
  }
  await makePrivateDir(paths.runtime, uid);
  await makePrivateDir(paths.state, uid);
}

/** One daemon per state directory. Throws ConflictError when another process holds it. */
export function lockState(paths: Paths): { release(): void } {
  return acquireProcessLock(path.join(paths.state, 'daemon.lock'));
}
