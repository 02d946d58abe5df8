import { z } from 'zod';
import { CredentialKind } from '../../runtime/agents/contract.ts';
import { AuditRecord, KeySource } from '../../runtime/vault/contract.ts';
import { method, none, nullable } from './control-method.ts';

const name = z.string().min(1).max(100);
/** `default`, or the id of a project. */
const set = z.string().min(1).max(100).optional();
const passphrase = z.string().min(1).max(16_384);
/** An export is text of this size at most: a frame carries it. */
export const MAX_EXPORT_CHARS = 4 * 1024 * 1024;

const status = z.object({
  state: z.enum(['unlocked', 'locked', 'empty']),
  keySource: KeySource,
  keyPlace: z.string(),
  lockedBecause: nullable(z.string()),
  credentials: z.int(),
  sshKeys: z.int(),
});
export type VaultStatusRecord = z.infer<typeof status>;

export const credential = z.object({
  provider: z.string(),
  set: z.string(),
  kind: CredentialKind,
  version: z.int(),
  storedAt: z.string(),
  expiresAt: nullable(z.string()),
  problem: nullable(z.string()),
});
export type CredentialRecord = z.infer<typeof credential>;

const credentialWithUse = credential.extend({
  requests: z.number(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  costUsd: z.number(),
  lastUsedAt: nullable(z.string()),
});
export type CredentialUseRecord = z.infer<typeof credentialWithUse>;

/** What the command line asks of the vault. No answer holds a value, an export's sealed text excepted. */
export const vaultMethods = {
  vaultStatus: method('vault.status', none, status),
  vaultUnlock: method('vault.unlock', z.strictObject({ passphrase: passphrase.optional() }), status),
  vaultLock: method('vault.lock', none, status),
  vaultChangeKey: method(
    'vault.changeKey',
    z.strictObject({ source: KeySource, passphrase: passphrase.optional() }),
    status,
  ),
  vaultRotate: method('vault.rotate', none, status),
  vaultExport: method('vault.export', z.strictObject({ passphrase }), z.object({ text: z.string() })),
  vaultImport: method(
    'vault.import',
    z.strictObject({ text: z.string().max(MAX_EXPORT_CHARS), passphrase, overwrite: z.boolean() }),
    z.object({ taken: z.array(z.string()) }),
  ),
  auditRead: method(
    'audit.read',
    z.strictObject({
      task: z.string().max(100).optional(),
      provider: name.optional(),
      limit: z.int().min(1).max(10_000),
    }),
    z.object({ records: z.array(AuditRecord) }),
  ),
  /** How a credential of this entry may be given; refused for what the roster has not. */
  credentialsCheck: method(
    'credentials.check',
    z.strictObject({ name }),
    z.object({
      title: z.string(),
      /** A key or personal access token can be stored. */
      takesKey: z.boolean(),
      hasLogin: z.boolean(),
      hint: nullable(z.string()),
    }),
  ),
  credentialsStore: method(
    'credentials.store',
    z.strictObject({ name, key: z.string().min(1).max(16_384), set }),
    credential,
  ),
  credentialsRemove: method(
    'credentials.remove',
    z.strictObject({ name, set }),
    z.object({ wasStored: z.boolean() }),
  ),
  credentialsList: method('credentials.list', none, z.object({ credentials: z.array(credentialWithUse) })),
} as const;
