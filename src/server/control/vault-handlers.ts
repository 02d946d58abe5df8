import { Secret } from '../../runtime/core/secret.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { CredentialInfo, CredentialUse, VaultStatus } from '../../runtime/vault/contract.ts';
import { checkCredential } from './credential-check.ts';
import type { Register } from './task-handlers.ts';
import {
  type CredentialRecord,
  type CredentialUseRecord,
  type VaultStatusRecord,
  vaultMethods,
} from './vault-methods.ts';

/** Everything about credentials that a person may ask and a client may not. */
export function registerVault(on: Register, runtime: Pick<Runtime, 'agents' | 'vault'>): void {
  const { vault } = runtime;
  on(vaultMethods.vaultStatus, () => toStatusRecord(vault.status()));
  on(vaultMethods.vaultUnlock, async ({ passphrase }) =>
    toStatusRecord(await vault.unlock(secretOf(passphrase))),
  );
  on(vaultMethods.vaultLock, () => toStatusRecord(vault.lock()));
  on(vaultMethods.vaultChangeKey, async ({ source, passphrase }) =>
    toStatusRecord(await vault.changeKey({ source, passphrase: secretOf(passphrase) })),
  );
  on(vaultMethods.vaultRotate, async () => toStatusRecord(await vault.rotate()));
  on(vaultMethods.vaultExport, async ({ passphrase }) => ({
    text: await vault.export(new Secret(passphrase)),
  }));
  on(vaultMethods.vaultImport, async ({ text, passphrase, overwrite }) => ({
    taken: [...(await vault.import(text, new Secret(passphrase), { overwrite }))],
  }));
  on(vaultMethods.auditRead, async (filter) => ({ records: [...(await vault.audit(filter))] }));
  on(vaultMethods.credentialsCheck, async ({ name }) => await checkCredential(runtime, name));
  on(vaultMethods.credentialsStore, async ({ name, key, set }) =>
    toCredentialRecord(await vault.storeApiKey(name, new Secret(key), { set })),
  );
  on(vaultMethods.credentialsRemove, async ({ name, set }) => ({
    wasStored: await vault.remove(name, { set }),
  }));
  on(vaultMethods.credentialsList, () => ({ credentials: vault.list().map(toUseRecord) }));
}

const secretOf = (text: string | undefined): Secret | undefined =>
  text === undefined ? undefined : new Secret(text);

function toStatusRecord({ lockedBecause, ...status }: VaultStatus): VaultStatusRecord {
  return { ...status, lockedBecause: lockedBecause ?? null };
}

export function toCredentialRecord(info: CredentialInfo): CredentialRecord {
  const { provider, set, kind, version, storedAt } = info;
  return {
    provider,
    set,
    kind,
    version,
    storedAt,
    expiresAt: info.expiresAt ?? null,
    problem: info.problem ?? null,
  };
}

function toUseRecord({
  use,
  ...info
}: CredentialInfo & { readonly use: CredentialUse }): CredentialUseRecord {
  const { requests, inputTokens, outputTokens, costUsd, lastUsedAt } = use;
  return {
    ...toCredentialRecord(info),
    requests,
    inputTokens,
    outputTokens,
    costUsd,
    lastUsedAt: lastUsedAt ?? null,
  };
}
