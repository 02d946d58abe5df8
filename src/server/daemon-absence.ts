import path from 'node:path';
import { HostError } from '../runtime/core/errors.ts';
import type { Paths } from '../runtime/core/paths.ts';
import { type LockHolder, readHolder } from './lock-holder-store.ts';

/** Why a daemon that should answer does not, in words a person can act on. */

export type ListeningHolder = LockHolder & { readonly socketPath: string };

/** The holder of this state directory, when it listens somewhere else than we look. */
export async function findElsewhere(paths: Paths): Promise<ListeningHolder | undefined> {
  const holder = await readHolder(paths);
  if (holder?.socketPath === undefined || holder.socketPath === paths.daemonSocket) return undefined;
  return { pid: holder.pid, socketPath: holder.socketPath };
}

export function describeElsewhere(paths: Paths, { pid, socketPath }: ListeningHolder): HostError {
  const theirs = `TEROK_RUNTIME_DIR=${path.dirname(socketPath)}`;
  return new HostError(
    `The daemon of ${paths.state} (pid ${pid}) listens at ${socketPath}, and not at ${paths.daemonSocket}`,
    {
      hint: `Set ${theirs} to use it, or stop it with "${theirs} terok-mcp daemon stop"; its tasks go on.`,
    },
  );
}

/** After a daemon was waited for in vain. */
export async function describeSilence(
  paths: Paths,
  waited: { readonly seconds: number; readonly log: string },
): Promise<HostError> {
  const holder = await readHolder(paths);
  if (holder?.socketPath !== undefined && holder.socketPath !== paths.daemonSocket) {
    return describeElsewhere(paths, { pid: holder.pid, socketPath: holder.socketPath });
  }
  if (holder !== undefined && holder.socketPath === undefined) {
    return new HostError(
      `Process ${holder.pid} ("terok-mcp stdio --in-process") holds ${paths.state} for its one client`,
      { hint: 'End that client, or set TEROK_STATE_DIR to another directory.' },
    );
  }
  const who = holder === undefined ? 'The terok-mcp daemon' : `The terok-mcp daemon (pid ${holder.pid})`;
  return new HostError(`${who} did not answer within ${waited.seconds} s`, {
    hint: `Its log is ${paths.daemonLog}.`,
    details: waited.log,
  });
}
