import path from 'node:path';
import type { Clock } from '../../core/clock.ts';
import type { CommandRunner } from '../../core/command.ts';
import type { StateDatabase } from '../../core/database.ts';
import { RuntimeError } from '../../core/errors.ts';
import { KeyedMutex } from '../../core/keyed-mutex.ts';
import type { Logger } from '../../core/log.ts';
import { Secret } from '../../core/secret.ts';
import {
  type CredentialInfo,
  DEFAULT_SET,
  type KeySource,
  type SshKeyInfo,
  type VaultStatus,
} from '../contract.ts';
import type { CredentialStore, Renewal } from '../parts.ts';
import { type StoredCredential, secretsOf } from '../stored-credential.ts';
import { type CredentialName, CredentialRecords } from './credential-records.ts';
import { takeFormerKeys } from './former-key-files-loader.ts';
import { KeyChain, type KeyStep } from './key-chain.ts';
import { Manifest } from './manifest.ts';
import { SCRYPT_COST } from './passphrase.ts';
import { RenewalRecords } from './renewal-records.ts';
import { SshKeyRecords } from './ssh-key-records.ts';
import { takeContent } from './vault-content.ts';
import { readExport, writeExport } from './vault-export.ts';
import { openVaultFile, purgeLog } from './vault-file-store.ts';

const CHANGE = 'change';

/** `vault.db`: what is known of each credential in the open, its value sealed. Written by one process alone. */
export class SealedStore implements CredentialStore, AsyncDisposable {
  readonly #database: StateDatabase;
  readonly #keys: KeyChain;
  readonly #credentials: CredentialRecords;
  readonly #sshKeys: SshKeyRecords;
  readonly #renewals: RenewalRecords;
  readonly #manifest: Manifest;
  readonly #directory: string;
  readonly #log: Logger;
  readonly #scryptCost: number;
  /** Changes of keys wait for programs and for scrypt: one at a time. */
  readonly #mutex = new KeyedMutex();
  readonly #listeners = new Set<() => void>();

  /** Throws HostError for a database that others may read, that a newer release wrote, or that is damaged. */
  constructor(deps: {
    readonly file: string;
    /** Of the state: the key file, and the key files of earlier releases, lie there. */
    readonly directory: string;
    readonly runner: CommandRunner;
    readonly clock: Clock;
    readonly log: Logger;
    /** For fault-injection tests. */
    readonly step?: KeyStep | undefined;
    /** N of what is sealed under a passphrase from now on; whatever is there opens with its own. */
    readonly scryptCost?: number | undefined;
  }) {
    this.#directory = deps.directory;
    this.#log = deps.log;
    const { step = () => undefined, scryptCost = SCRYPT_COST } = deps;
    this.#scryptCost = scryptCost;
    const database = openVaultFile(deps.file);
    this.#database = database;
    this.#keys = new KeyChain({ ...deps, database, step, scryptCost });
    this.#manifest = new Manifest({ database });
    const manifest = this.#manifest;
    this.#credentials = new CredentialRecords({ database, manifest, clock: deps.clock });
    this.#sshKeys = new SshKeyRecords({ database, manifest });
    this.#renewals = new RenewalRecords({ database });
  }

  /** Opens what needs no person, and takes in the key files of earlier releases. Why it stays locked stands in its status. */
  async start(): Promise<void> {
    try {
      await this.unlock();
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      this.#log.warn({ reason: error.message, hint: error.hint }, 'the vault stays locked');
    }
    await this.#keys.tidy();
  }

  status(): VaultStatus {
    return {
      state: this.#keys.state,
      keySource: this.#keys.source,
      keyPlace: this.#keys.place,
      lockedBecause: this.#keys.lockedBecause,
      credentials: this.#credentials.count(),
      sshKeys: this.#sshKeys.list().length,
    };
  }

  async unlock(passphrase?: Secret): Promise<VaultStatus> {
    return await this.#changed(async () => {
      await this.#keys.unlock(passphrase);
      if (this.#keys.state === 'locked') return;
      takeFormerKeys({ store: this, directory: path.join(this.#directory, 'credentials'), log: this.#log });
    });
  }

  lock(): VaultStatus {
    this.#keys.lock();
    this.#announce();
    return this.status();
  }

  async changeKey(next: {
    readonly source: KeySource;
    readonly passphrase?: Secret | undefined;
  }): Promise<VaultStatus> {
    return await this.#changed(() => this.#keys.change(next.source, next.passphrase));
  }

  async rotate(): Promise<VaultStatus> {
    return await this.#changed(async () => {
      if (this.#keys.state === 'empty') return;
      this.#keys.rotate((from, to) => {
        this.#credentials.reseal(from, to);
        this.#sshKeys.reseal(from, to);
        this.#manifest.reseal(from, to);
      });
    });
  }

  async export(passphrase: Secret): Promise<string> {
    const key = this.#keys.state === 'empty' ? undefined : this.#keys.dataKey();
    return await writeExport(
      {
        credentials: key === undefined ? [] : [...this.#credentials.openAll(key)],
        sshKeys: key === undefined ? [] : [...this.#sshKeys.openAll(key)],
      },
      passphrase,
      this.#scryptCost,
    );
  }

  /** All of it or nothing. */
  async import(
    text: string,
    passphrase: Secret,
    options: { readonly overwrite: boolean },
  ): Promise<readonly string[]> {
    if (this.#keys.state === 'locked') this.#keys.dataKey();
    const content = await readExport(text, passphrase);
    const key = this.#keys.ensureDataKey();
    const taken = this.#database.transaction(() =>
      takeContent(content, {
        credentials: this.#credentials,
        sshKeys: this.#sshKeys,
        key,
        overwrite: options.overwrite,
      }),
    )();
    this.#announce();
    return taken;
  }

  list(): readonly CredentialInfo[] {
    return this.#credentials.list();
  }

  find(provider: string, set: string): CredentialInfo | undefined {
    return this.#credentials.get({ provider, set }) ?? this.#credentials.get({ provider, set: DEFAULT_SET });
  }

  open(
    name: CredentialName,
  ): { readonly credential: StoredCredential; readonly version: number } | undefined {
    if (this.#credentials.get(name) === undefined) return undefined;
    return this.#credentials.open(this.#keys.dataKey(), name);
  }

  put(name: CredentialName, credential: StoredCredential): CredentialInfo {
    const info = this.#credentials.put(this.#keys.ensureDataKey(), name, credential);
    this.#announce();
    return info;
  }

  replace(
    { version, ...name }: CredentialName & { readonly version: number },
    credential: StoredCredential,
  ): CredentialInfo | undefined {
    const key = this.#keys.dataKey();
    // Nothing comes between: the database is read and written by this thread alone.
    if (this.#credentials.get(name)?.version !== version) return undefined;
    const info = this.#credentials.put(key, name, credential);
    this.#announce();
    return info;
  }

  setProblem(name: CredentialName, problem: string | undefined): void {
    this.#credentials.setProblem(name, problem);
    this.#announce();
  }

  remove(name: CredentialName): boolean {
    const wasThere = this.#credentials.remove(name);
    purgeLog(this.#database, this.#log);
    this.#announce();
    return wasThere;
  }

  secrets(): readonly { readonly provider: string; readonly secret: Secret }[] {
    if (this.#keys.state === 'empty') return [];
    return this.#credentials
      .openAll(this.#keys.dataKey())
      .flatMap(({ provider, credential }) =>
        secretsOf(credential).map((text) => ({ provider, secret: new Secret(text) })),
      );
  }

  sshKeys(): readonly SshKeyInfo[] {
    return this.#sshKeys.list();
  }

  openSshKey(project: string): Secret | undefined {
    if (this.#sshKeys.get(project) === undefined) return undefined;
    return this.#sshKeys.open(this.#keys.dataKey(), project);
  }

  putSshKey(info: SshKeyInfo, privateKey: Secret): void {
    this.#sshKeys.put(this.#keys.ensureDataKey(), info, privateKey);
    this.#announce();
  }

  removeSshKey(project: string): boolean {
    const wasThere = this.#sshKeys.remove(project);
    purgeLog(this.#database, this.#log);
    this.#announce();
    return wasThere;
  }

  renewals(): readonly Renewal[] {
    return this.#renewals.list();
  }

  beginRenewal(renewal: Renewal): void {
    this.#renewals.begin(renewal);
  }

  endRenewal(id: string): void {
    this.#renewals.end(id);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Overwrites the keys in memory and closes the database. */
  async close(): Promise<void> {
    await this.#mutex.whenIdle();
    await this.#keys.close();
    this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #changed(change: () => Promise<void>): Promise<VaultStatus> {
    await this.#mutex.run(CHANGE, change);
    this.#announce();
    return this.status();
  }

  #announce(): void {
    for (const listener of this.#listeners) listener();
  }
}
