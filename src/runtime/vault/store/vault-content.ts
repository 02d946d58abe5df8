import { Secret } from '../../core/secret.ts';
import { type CredentialRecords, describe } from './credential-records.ts';
import type { SshKeyRecords } from './ssh-key-records.ts';
import type { VaultContent } from './vault-export.ts';

/** Stores what an export held, within a transaction of the caller; what is there already stays unless `overwrite`. Says what was taken. */
export function takeContent(
  content: VaultContent,
  into: {
    readonly credentials: CredentialRecords;
    readonly sshKeys: SshKeyRecords;
    readonly key: Buffer;
    readonly overwrite: boolean;
  },
): readonly string[] {
  const isWanted = (present: unknown): boolean => into.overwrite || present === undefined;
  const credentials = content.credentials.filter((one) => isWanted(into.credentials.get(one)));
  const sshKeys = content.sshKeys.filter(({ info }) => isWanted(into.sshKeys.get(info.project)));
  for (const one of credentials) into.credentials.put(into.key, one, one.credential);
  for (const { info, privateKey } of sshKeys) into.sshKeys.put(into.key, info, new Secret(privateKey));
  return [
    ...credentials.map(describe),
    ...sshKeys.map(({ info }) => `SSH key of the project ${info.project}`),
  ];
}
