import { z } from 'zod';
import type { StateDatabase } from '../../core/database.ts';
import { HostError } from '../../core/errors.ts';
import { type Binding, seal, unseal } from './sealing.ts';

const BINDING: Binding = ['terok-vault-1', 'manifest'];
const Versions = z.record(z.string(), z.int());

/**
 * The version that each record was given last, sealed as one. A row put back from an older copy of the database, sealed
 * by us as it is, does not fit it. It never forgets a name, so no version is ever given twice. (Who puts back the
 * whole file also puts this back: nothing inside of it can tell.)
 */
export class Manifest {
  readonly #database: StateDatabase;

  constructor(deps: { readonly database: StateDatabase }) {
    this.#database = deps.database;
  }

  /** 0 for what was never stored. */
  versionOf(key: Buffer, name: string): number {
    return this.#read(key)[name] ?? 0;
  }

  set(key: Buffer, name: string, version: number): void {
    this.#write(key, { ...this.#read(key), [name]: version });
  }

  reseal(from: Buffer, to: Buffer): void {
    this.#write(to, this.#read(from));
  }

  #read(key: Buffer): z.infer<typeof Versions> {
    const row = this.#database.prepare<[], { readonly sealed: Buffer }>('SELECT sealed FROM manifest').get();
    if (row === undefined) return {};
    const text = unseal(key, row.sealed, BINDING);
    if (text !== undefined) return Versions.parse(JSON.parse(text.toString()));
    throw new HostError(
      'vault.db was changed from outside, or is damaged: its list of records does not open',
      {
        hint: 'Restore it from a backup, or move it aside and store the credentials again.',
      },
    );
  }

  #write(key: Buffer, versions: z.infer<typeof Versions>): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO manifest (id, sealed) VALUES (1, ?)')
      .run(seal(key, JSON.stringify(versions), BINDING));
  }
}

/** Names the record and never what is in it. */
export const changedRecord = (what: string, why: string, fix: string): HostError =>
  new HostError(`The vault's record of ${what} ${why}, so it is not used`, { hint: fix });
