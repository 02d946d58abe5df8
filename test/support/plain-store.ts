import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { HostError } from '../../src/runtime/core/errors.ts';
import { Secret } from '../../src/runtime/core/secret.ts';
import type { CredentialInfo, VaultStatus } from '../../src/runtime/vault/contract.ts';
import type { CredentialStore, Renewal } from '../../src/runtime/vault/parts.ts';
import { StoredCredential, secretsOf } from '../../src/runtime/vault/stored-credential.ts';

const Key = z.object({ provider: z.string(), set: z.string() });
const Content = z.object({
  credentials: z.array(
    Key.extend({
      version: z.int(),
      storedAt: z.string(),
      problem: z.string().optional(),
      credential: StoredCredential,
    }),
  ),
  renewals: z.array(Key.extend({ id: z.string(), version: z.int(), startedAt: z.string() })),
});
type Content = z.infer<typeof Content>;
type Row = Content['credentials'][number];

/** A credential store of a test: nothing is sealed, every change is on the disk at once. */
export class PlainStore implements CredentialStore {
  readonly #file: string;
  readonly #listeners = new Set<() => void>();
  #isLocked = false;

  constructor(file: string) {
    this.#file = file;
  }

  setLocked(isLocked: boolean): void {
    this.#isLocked = isLocked;
    for (const listener of this.#listeners) listener();
  }

  status(): VaultStatus {
    return {
      state: this.#isLocked ? 'locked' : 'unlocked',
      keySource: 'file',
      keyPlace: 'nowhere',
      lockedBecause: this.#isLocked ? 'a test' : undefined,
      credentials: this.list().length,
      sshKeys: 0,
    };
  }

  list(): readonly CredentialInfo[] {
    return this.#read().credentials.map(toInfo);
  }

  find(provider: string, set: string): CredentialInfo | undefined {
    const all = this.list().filter((one) => one.provider === provider);
    return all.find((one) => one.set === set) ?? all.find((one) => one.set === 'default');
  }

  open(info: { readonly provider: string; readonly set: string }) {
    if (this.#isLocked) throw new HostError('The vault is locked');
    const row = this.#read().credentials.find((one) => isSame(one, info));
    return row === undefined ? undefined : { credential: row.credential, version: row.version };
  }

  put(
    info: { readonly provider: string; readonly set: string },
    credential: StoredCredential,
  ): CredentialInfo {
    const content = this.#read();
    const before = content.credentials.find((one) => isSame(one, info));
    const row: Row = {
      provider: info.provider,
      set: info.set,
      version: (before?.version ?? 0) + 1,
      storedAt: new Date().toISOString(),
      credential,
    };
    this.#write({ ...content, credentials: [...content.credentials.filter((one) => one !== before), row] });
    return toInfo(row);
  }

  replace(
    info: { readonly provider: string; readonly set: string; readonly version: number },
    credential: StoredCredential,
  ): CredentialInfo | undefined {
    if (this.#isLocked) throw new HostError('The vault is locked');
    return this.open(info)?.version === info.version ? this.put(info, credential) : undefined;
  }

  setProblem(info: { readonly provider: string; readonly set: string }, problem: string | undefined): void {
    const content = this.#read();
    const credentials = content.credentials.map((one) => (isSame(one, info) ? { ...one, problem } : one));
    this.#write({ ...content, credentials });
  }

  remove(info: { readonly provider: string; readonly set: string }): boolean {
    const content = this.#read();
    const credentials = content.credentials.filter((one) => !isSame(one, info));
    this.#write({ ...content, credentials });
    return credentials.length < content.credentials.length;
  }

  secrets() {
    return this.#read().credentials.flatMap(({ provider, credential }) =>
      secretsOf(credential).map((text) => ({ provider, secret: new Secret(text) })),
    );
  }

  sshKeys() {
    return [];
  }
  openSshKey() {
    return undefined;
  }
  putSshKey(): void {
    throw new Error('no SSH keys here');
  }
  removeSshKey(): boolean {
    return false;
  }

  renewals(): readonly Renewal[] {
    return this.#read().renewals;
  }

  beginRenewal(renewal: Renewal): void {
    const content = this.#read();
    this.#write({ ...content, renewals: [...content.renewals, renewal] });
  }

  endRenewal(id: string): void {
    const content = this.#read();
    this.#write({ ...content, renewals: content.renewals.filter((one) => one.id !== id) });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #read(): Content {
    if (!existsSync(this.#file)) return { credentials: [], renewals: [] };
    return Content.parse(JSON.parse(readFileSync(this.#file, 'utf8')));
  }

  #write(content: Content): void {
    writeFileSync(this.#file, JSON.stringify(content));
  }
}

const isSame = (
  a: { readonly provider: string; readonly set: string },
  b: { readonly provider: string; readonly set: string },
): boolean => a.provider === b.provider && a.set === b.set;

const toInfo = ({ provider, set, version, storedAt, problem, credential }: Row): CredentialInfo => ({
  provider,
  set,
  version,
  storedAt,
  problem,
  kind: credential.kind,
  expiresAt:
    credential.kind === 'oauth' && credential.expires_at !== null
      ? new Date(credential.expires_at * 1000).toISOString()
      : undefined,
});
