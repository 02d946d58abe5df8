import type { Runtime } from '../../runtime/runtime.ts';
import type { SshKeyInfo } from '../../runtime/vault/contract.ts';
import { type SshKeyRecord, sshMethods } from './ssh-methods.ts';
import type { Register } from './task-handlers.ts';

/** What the command line asks about SSH keys. A project has to be known for each: a typing error makes no key. */
export function registerSsh(on: Register, { projects, vault, sshHosts }: Runtime): void {
  on(sshMethods.sshInit, async ({ project: id, ...options }) => {
    const { settings } = await projects.get(id);
    const answer = await vault.initSshKey(id, options);
    return {
      ...toRecord(answer),
      origin: answer.origin,
      importedFrom: answer.importedFrom ?? null,
      destinations: [...settings.ssh.destinations],
    };
  });
  on(sshMethods.sshKey, async ({ project }) => {
    const { id } = await projects.get(project);
    const key = vault.sshKeys().find((candidate) => candidate.project === id);
    return { key: key === undefined ? null : toRecord(key) };
  });
  // Also that of a project which is gone by now.
  on(sshMethods.sshRemove, async ({ project }) => ({ wasStored: await vault.removeSshKey(project) }));
  on(sshMethods.sshScan, async ({ project, destination }, signal) => {
    const found = await projects.get(project);
    const answer = await sshHosts.scan(found, destination, signal);
    return { ...answer, projectFile: found.file, keys: [...answer.keys] };
  });
  on(sshMethods.sshTrust, async ({ project, destination, lines }) => ({
    added: await sshHosts.trust(await projects.get(project), destination, lines),
  }));
}

const toRecord = ({
  project,
  type,
  fingerprint,
  publicKey,
  comment,
  createdAt,
}: SshKeyInfo): SshKeyRecord => ({
  project,
  type,
  fingerprint,
  publicKey,
  comment,
  createdAt,
});
