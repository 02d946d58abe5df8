import type { StateDatabase } from '../../core/database.ts';
import type { Renewal } from '../parts.ts';

interface RenewalRow {
  readonly id: string;
  readonly provider: string;
  readonly credential_set: string;
  readonly version: number;
  readonly started_at: string;
}

/** Renewals under way, so that the next start knows of them. No secret is among them. */
export class RenewalRecords {
  readonly #database: StateDatabase;

  constructor(deps: { readonly database: StateDatabase }) {
    this.#database = deps.database;
  }

  list(): readonly Renewal[] {
    return this.#database
      .prepare<[], RenewalRow>('SELECT * FROM renewals ORDER BY started_at, id')
      .all()
      .map(({ credential_set, started_at, ...row }) => ({
        ...row,
        set: credential_set,
        startedAt: started_at,
      }));
  }

  begin({ id, provider, set, version, startedAt }: Renewal): void {
    this.#database
      .prepare(
        'INSERT OR REPLACE INTO renewals (id, provider, credential_set, version, started_at) VALUES (?, ?, ?, ?, ?)',
      )
      .run(id, provider, set, version, startedAt);
  }

  end(id: string): void {
    this.#database.prepare('DELETE FROM renewals WHERE id = ?').run(id);
  }
}
