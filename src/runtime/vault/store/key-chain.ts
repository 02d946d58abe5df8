import { randomBytes } from 'node:crypto';
import type { CommandRunner } from '../../core/command.ts';
import type { StateDatabase } from '../../core/database.ts';
import { ConflictError, HostError, InvalidInputError, RuntimeError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Secret } from '../../core/secret.ts';
import { KeySource } from '../contract.ts';
import { DesktopKeyring } from './keys/desktop-keyring.ts';
import type { KeptKey, KeyKeeper } from './keys/kept-key.ts';
import { KernelKeyring } from './keys/kernel-keyring.ts';
import { KeyFile } from './keys/key-file-store.ts';
import { PassphraseKey } from './keys/passphrase-key.ts';
import { SystemdCredential } from './keys/systemd-credential.ts';
import { knownValue } from './known-value.ts';
import { type Binding, KEY_BYTES, seal, unseal } from './sealing.ts';
import { purgeLog } from './vault-file-store.ts';

/** Called between the steps of a change of key: fault-injection tests end the process at one. */
export type KeyStep = (
  name: 'first:kept' | 'change:announced' | 'change:kept' | 'change:committed' | 'rotate:sealed',
) => void;

const DATA_KEY: Binding = ['terok-vault-1', 'data-key'];

interface KeyRow {
  readonly source: string;
  readonly key_id: string;
  readonly note: string;
  readonly data_key: Buffer;
}

/**
 * A random data key seals all records; a second key seals that one, and is kept where the person wants it. Changing
 * where writes one row. Both are in memory while the vault is open, and overwritten when it is locked.
 */
export class KeyChain {
  readonly #database: StateDatabase;
  readonly #log: Logger;
  readonly #step: KeyStep;
  readonly #file: KeyFile;
  readonly #keepers: Readonly<Record<KeySource, KeyKeeper>>;
  #open: { readonly dataKey: Buffer; readonly key: Buffer } | undefined;
  #problem: string | undefined;
  #tidying: Promise<void> = Promise.resolve();

  constructor(deps: {
    readonly database: StateDatabase;
    readonly directory: string;
    readonly runner: CommandRunner;
    readonly log: Logger;
    readonly step: KeyStep;
    readonly scryptCost: number;
  }) {
    this.#database = deps.database;
    this.#log = deps.log;
    this.#step = deps.step;
    this.#file = new KeyFile(deps);
    this.#keepers = {
      passphrase: new PassphraseKey(deps),
      'systemd-creds': new SystemdCredential(deps),
      keyring: new KernelKeyring(deps),
      desktop: new DesktopKeyring(deps),
      file: this.#file,
    };
  }

  get state(): 'unlocked' | 'locked' | 'empty' {
    if (this.#open !== undefined) return 'unlocked';
    return this.#row() === undefined ? 'empty' : 'locked';
  }

  get source(): KeySource {
    return this.#kept()?.source ?? 'file';
  }

  get place(): string {
    return this.#keepers[this.source].place(this.#kept()?.note ?? 'vault.key');
  }

  /** Words for people; undefined unless it is locked. */
  get lockedBecause(): string | undefined {
    return this.state === 'locked' ? (this.#problem ?? 'It was not opened yet.') : undefined;
  }

  /** Throws HostError while it is locked. */
  dataKey(): Buffer {
    if (this.#open !== undefined) return this.#open.dataKey;
    throw new HostError('The vault is locked', {
      hint: 'Run "terok-mcp vault unlock"',
      details: this.lockedBecause,
    });
  }

  /** The key under which the first record is sealed: made at once, in a file, where there is none yet. */
  ensureDataKey(): Buffer {
    if (this.state === 'empty') {
      const fresh = { dataKey: randomBytes(KEY_BYTES), key: randomBytes(KEY_BYTES) };
      const next = { source: 'file' as const, id: newId() };
      this.#leave({ ...next, note: '' });
      const note = this.#file.keepNow(fresh.key, next.id);
      this.#step('first:kept');
      this.#database.transaction(() => this.#write({ ...next, note }, fresh))();
      this.#open = fresh;
    }
    return this.dataKey();
  }

  /** Throws HostError where the key is not there, and InvalidInputError for a wrong passphrase. Of no effect while it is empty or open. */
  async unlock(passphrase: Secret | undefined): Promise<void> {
    const kept = this.#kept();
    if (kept === undefined) return;
    // Asked although it is open: whoever gives a wrong one hears so.
    if (this.#open !== undefined && passphrase === undefined) return;
    try {
      const key = await this.#keepers[kept.source].fetch(kept, passphrase);
      const dataKey = unseal(key, this.#row()?.data_key ?? Buffer.alloc(0), DATA_KEY);
      if (dataKey === undefined) {
        key.fill(0);
        throw new HostError('The key that was found does not open this vault.db', {
          hint: 'Put the key and the database back from the same backup.',
        });
      }
      this.#wipe();
      this.#open = { dataKey, key };
    } catch (error) {
      // A wrong passphrase is not why it is locked.
      if (error instanceof RuntimeError && !(error instanceof InvalidInputError))
        this.#problem = inWords(error);
      throw error;
    }
    await this.tidy();
  }

  /** Throws ConflictError where the next look would open it again. */
  lock(): void {
    const kept = this.#kept();
    if (kept === undefined || this.#open === undefined) return;
    if (kept.source !== 'passphrase' && kept.source !== 'keyring') {
      throw new ConflictError('The vault would open again at once: no person is needed for its key', {
        hint: 'Run "terok-mcp vault key passphrase" first: then only a person opens it.',
      });
    }
    if (kept.source === 'keyring') {
      // Under another name the kernel does not have it, so that a crash before it is forgotten leaves the vault locked.
      this.#database.transaction(() => {
        this.#leave(kept);
        this.#database.prepare('UPDATE vault_key SET key_id = ?').run(newId());
      })();
      this.#tidying = this.tidy().catch((error: unknown) =>
        this.#log.error({ err: error }, 'the kernel was not asked to forget the key of the vault'),
      );
    }
    this.#wipe();
    this.#problem = 'It was locked. Run "terok-mcp vault unlock".';
  }

  /** The new key is kept beside the old one, and counts once the database says so. Throws HostError while locked. */
  async change(source: KeySource, passphrase: Secret | undefined): Promise<void> {
    if (this.state === 'locked') this.dataKey();
    const next = { source, id: newId() };
    const key = randomBytes(KEY_BYTES);
    this.#leave({ ...next, note: '' });
    this.#step('change:announced');
    const note = await this.#keepers[source].keep(key, next.id, passphrase);
    this.#step('change:kept');
    // Asked only now: while the key was being kept, the first record may have been stored.
    const before = this.#kept();
    const fresh = {
      key,
      dataKey: before === undefined ? randomBytes(KEY_BYTES) : Buffer.from(this.dataKey()),
    };
    this.#database.transaction(() => {
      this.#write({ ...next, note }, fresh);
      if (before !== undefined) this.#leave(before);
    })();
    this.#step('change:committed');
    this.#wipe();
    this.#open = fresh;
    await this.tidy();
    purgeLog(this.#database, this.#log);
  }

  /** A new data key under the same key; `reseal` seals every record anew, in the same transaction. */
  rotate(reseal: (from: Buffer, to: Buffer) => void): void {
    const from = this.dataKey();
    const open = this.#open;
    const kept = this.#kept();
    if (open === undefined || kept === undefined) return;
    const fresh = { dataKey: randomBytes(KEY_BYTES), key: Buffer.from(open.key) };
    this.#database.transaction(() => {
      reseal(from, fresh.dataKey);
      this.#write(kept, fresh);
      this.#step('rotate:sealed');
    })();
    this.#wipe();
    this.#open = fresh;
    purgeLog(this.#database, this.#log);
  }

  /** Forgets keys that count no more. What cannot be reached now is tried again at the next start. */
  async tidy(): Promise<void> {
    await this.#tidying;
    const left = this.#database
      .prepare<[], Omit<KeyRow, 'data_key'>>(
        'SELECT source, key_id, note FROM leftover_keys WHERE key_id NOT IN (SELECT key_id FROM vault_key)',
      )
      .all();
    for (const row of left) {
      try {
        await this.#keepers[knownValue(KeySource, row.source, 'key source')].forget({
          id: row.key_id,
          note: row.note,
        });
        this.#database.prepare('DELETE FROM leftover_keys WHERE key_id = ?').run(row.key_id);
      } catch (error) {
        // Whatever it is, like a full disk: the vault is as good without.
        this.#log.warn(
          { source: row.source, reason: error instanceof Error ? error.message : String(error) },
          'an old key of the vault is not forgotten yet',
        );
      }
    }
  }

  async close(): Promise<void> {
    await this.#tidying;
    this.#wipe();
  }

  #wipe(): void {
    this.#open?.dataKey.fill(0);
    this.#open?.key.fill(0);
    this.#open = undefined;
  }

  #row(): KeyRow | undefined {
    return this.#database.prepare<[], KeyRow>('SELECT * FROM vault_key').get();
  }

  #kept(): (KeptKey & { readonly source: KeySource }) | undefined {
    const row = this.#row();
    return row && { source: knownValue(KeySource, row.source, 'key source'), id: row.key_id, note: row.note };
  }

  #write(
    kept: KeptKey & { readonly source: KeySource },
    keys: { readonly dataKey: Buffer; readonly key: Buffer },
  ): void {
    this.#database.prepare('DELETE FROM leftover_keys WHERE key_id = ?').run(kept.id);
    this.#database
      .prepare('INSERT OR REPLACE INTO vault_key (id, source, key_id, note, data_key) VALUES (1, ?, ?, ?, ?)')
      .run(kept.source, kept.id, kept.note, seal(keys.key, keys.dataKey, DATA_KEY));
  }

  #leave({ source, id, note }: KeptKey & { readonly source: KeySource }): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO leftover_keys (key_id, source, note) VALUES (?, ?, ?)')
      .run(id, source, note);
  }
}

const newId = (): string => randomBytes(8).toString('hex');
const inWords = ({ message, hint }: RuntimeError): string =>
  hint === undefined ? `${message}.` : `${message}. ${hint}`;
