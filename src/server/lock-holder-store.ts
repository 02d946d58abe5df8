import { rm } from 'node:fs/promises';
import path from 'node:path';
import { readTextIfExists, writeFileAtomic } from '../runtime/core/files.ts';
import type { Paths } from '../runtime/core/paths.ts';

/** Who holds the state directory's lock, for messages to those who do not get it. */
export interface LockHolder {
  readonly pid: number;
  /** Where it listens; undefined for one that serves a single client and listens nowhere. */
  readonly socketPath: string | undefined;
}

const fileOf = (paths: Paths): string => path.join(paths.state, 'daemon.holder.json');

/** Only for the holder of the lock. */
export async function noteHolder(paths: Paths, { pid, socketPath }: LockHolder): Promise<void> {
  await writeFileAtomic(fileOf(paths), `${JSON.stringify({ pid, socket: socketPath ?? null })}\n`);
}

/** Only for the holder of the lock, before it gives the lock back. */
export async function forgetHolder(paths: Paths): Promise<void> {
  await rm(fileOf(paths), { force: true });
}

/** What the last holder wrote. One that was killed could not take it back: whether it lives is for the caller to see. */
export async function readHolder(paths: Paths): Promise<LockHolder | undefined> {
  const text = await readTextIfExists(fileOf(paths)).catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const { pid, socket }: { readonly pid?: unknown; readonly socket?: unknown } = JSON.parse(text);
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid)) return undefined;
    return { pid, socketPath: typeof socket === 'string' ? socket : undefined };
  } catch {
    return undefined;
  }
}
