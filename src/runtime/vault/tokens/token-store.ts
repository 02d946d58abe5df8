import { createHash } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import type { StateDatabase } from '../../core/database.ts';
import { TaskId } from '../../core/ids.ts';
import type { CredentialGrant } from '../contract.ts';
import type { TokenCheck, Tokens } from '../parts.ts';

interface Entry {
  readonly hash: Buffer;
  readonly task: TaskId;
  readonly provider: string;
  readonly set: string;
  readonly expiresAtMs: number;
}

interface TokenRow {
  hash: Buffer;
  task: string;
  provider: string;
  credential_set: string;
  expires_at: string;
}

type Filter = Parameters<Tokens['revoke']>[0];

/**
 * Phantom tokens, of which only the SHA-256 is kept: they hold 256 random bits, so nobody finds one by its hash.
 * INVARIANT: the entries in memory are the rows of the table. This process alone writes it, and whoever ends a task
 * revokes its tokens before its row goes.
 */
export class TokenStore implements Tokens {
  readonly #database: StateDatabase;
  readonly #clock: Clock;
  /** By hash in hexadecimal. */
  readonly #entries: Map<string, Entry>;
  readonly #listeners = new Set<(task: TaskId) => void>();

  constructor(deps: { readonly database: StateDatabase; readonly clock: Clock }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    const rows = this.#database.prepare<unknown[], TokenRow>('SELECT * FROM phantom_tokens').all();
    this.#entries = new Map(rows.map((row) => keyed(toEntry(row))));
  }

  grant(task: TaskId, grants: readonly CredentialGrant[], expiresAt: Date): void {
    const entries = grants.map(({ token, provider, set }) => ({
      hash: hashOf(token.reveal()),
      task,
      provider,
      set,
      expiresAtMs: expiresAt.getTime(),
    }));
    const replaced = this.#matching({ task });
    this.#forget(replaced, () => this.#replaceRows(task, entries));
    for (const entry of entries) this.#entries.set(...keyed(entry));
  }

  /**
   * In constant time where it matters: what a lookup's duration tells is about hashes, which whoever guesses tokens
   * does not choose.
   */
  check(task: TaskId, token: string): TokenCheck {
    const entry = this.#entries.get(keyOf(hashOf(token)));
    if (entry === undefined) return { kind: 'unknown' };
    if (entry.task !== task) return { kind: 'foreign' };
    if (entry.expiresAtMs <= this.#clock.now().getTime()) return { kind: 'expired' };
    return { kind: 'valid', provider: entry.provider, set: entry.set };
  }

  revoke(filter: Filter): number {
    const revoked = this.#matching(filter);
    if (revoked.length > 0) this.#forget(revoked, () => this.#deleteRows(revoked));
    return revoked.length;
  }

  onRevoked(listener: (task: TaskId) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** They are refused at once, and their connections end, even where the disk cannot be written any more. */
  #forget(entries: readonly Entry[], writeRows: () => void): void {
    for (const { hash } of entries) this.#entries.delete(keyOf(hash));
    try {
      writeRows();
    } finally {
      const tasks = new Set(entries.map(({ task }) => task));
      for (const task of tasks) for (const listener of this.#listeners) listener(task);
    }
  }

  #matching({ task, provider, set }: Filter): readonly Entry[] {
    return [...this.#entries.values()].filter(
      (entry) =>
        (task === undefined || entry.task === task) &&
        (provider === undefined || entry.provider === provider) &&
        (set === undefined || entry.set === set),
    );
  }

  #replaceRows(task: TaskId, entries: readonly Entry[]): void {
    const remove = this.#database.prepare('DELETE FROM phantom_tokens WHERE task = ?');
    const insert = this.#database.prepare(
      'INSERT INTO phantom_tokens (hash, task, provider, credential_set, expires_at) VALUES (?, ?, ?, ?, ?)',
    );
    const replace = this.#database.transaction(() => {
      remove.run(task);
      for (const { hash, provider, set, expiresAtMs } of entries)
        insert.run(hash, task, provider, set, new Date(expiresAtMs).toISOString());
    });
    replace.immediate();
  }

  #deleteRows(entries: readonly Entry[]): void {
    const remove = this.#database.prepare('DELETE FROM phantom_tokens WHERE hash = ?');
    const removeAll = this.#database.transaction(() => {
      for (const { hash } of entries) remove.run(hash);
    });
    removeAll.immediate();
  }
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();
const keyOf = (hash: Buffer): string => hash.toString('hex');
const keyed = (entry: Entry): [string, Entry] => [keyOf(entry.hash), entry];

const toEntry = (row: TokenRow): Entry => ({
  hash: row.hash,
  task: TaskId.parse(row.task),
  provider: row.provider,
  set: row.credential_set,
  expiresAtMs: Date.parse(row.expires_at),
});
