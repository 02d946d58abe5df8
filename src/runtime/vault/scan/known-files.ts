import path from 'node:path';
import type { RosterEntry } from '../../agents/contract.ts';

/** Where a vendor's program keeps a real credential, seen from the home directory of whoever runs it. */
export interface KnownFile {
  readonly provider: string;
  /** Like `.claude/.credentials.json`. */
  readonly path: string;
}

/** Home of the container's user: directories of a task's agent-home are mounted below it under their own names. */
const CONTAINER_HOME = '/home/dev';

export function knownFilesOf(entries: readonly RosterEntry[]): readonly KnownFile[] {
  return entries.flatMap(({ name, auth }) => {
    if (auth?.directory === undefined || auth.credential_file === undefined) return [];
    const whole = path.posix.join(auth.directory.container, auth.credential_file);
    const relative = path.posix.relative(CONTAINER_HOME, whole);
    return relative.startsWith('..') ? [] : [{ provider: name, path: relative }];
  });
}

/** Whose file this is, wherever the home it lies in may be. */
export function knownFileAt(known: readonly KnownFile[], place: string): KnownFile | undefined {
  return known.find((file) => place === file.path || place.endsWith(`/${file.path}`));
}
