import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { HostError } from '../../core/errors.ts';
import { readPersonalFile } from '../../core/files.ts';
import type { Project } from '../../projects/contract.ts';

/** `known_hosts` beside project.yml (beside config.yml for a repository without a project). */
export const knownHostsFile = ({ directory }: Pick<Project, 'directory'>): string =>
  path.join(directory, 'known_hosts');

/** Empty where there is none. Throws HostError for one that cannot be read: then nothing is known of what it revokes. */
export async function loadKnownHosts(project: Pick<Project, 'directory'>): Promise<string> {
  const file = knownHostsFile(project);
  const { text, isAbsent, problem } = await readPersonalFile(file);
  if (text !== undefined) return text;
  if (isAbsent === true) return '';
  throw new HostError(`${file} ${problem}`, { hint: 'Repair it; it is in the format of OpenSSH.' });
}

/** In one write, on lines of their own. */
export async function appendKnownHosts(
  project: Pick<Project, 'directory'>,
  lines: readonly string[],
): Promise<void> {
  const before = await loadKnownHosts(project);
  const gap = before === '' || before.endsWith('\n') ? '' : '\n';
  const { O_WRONLY, O_APPEND, O_CREAT } = constants;
  const handle = await open(knownHostsFile(project), O_WRONLY | O_APPEND | O_CREAT, 0o600);
  try {
    await handle.write(`${gap}${lines.map((line) => `${line}\n`).join('')}`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
