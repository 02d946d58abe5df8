import { CredentialKind } from '../../agents/contract.ts';
import type { Clock } from '../../core/clock.ts';
import type { StateDatabase } from '../../core/database.ts';
import { InvalidInputError } from '../../core/errors.ts';
import { type CredentialInfo, DEFAULT_SET } from '../contract.ts';
import { StoredCredential } from '../stored-credential.ts';
import { knownValue } from './known-value.ts';
import { changedRecord, type Manifest } from './manifest.ts';
import { type Binding, seal, unseal } from './sealing.ts';

export type CredentialName = Pick<CredentialInfo, 'provider' | 'set'>;

interface CredentialRow {
  readonly provider: string;
  readonly credential_set: string;
  readonly kind: string;
  readonly version: number;
  readonly stored_at: string;
  readonly expires_at: string | null;
  readonly problem: string | null;
  readonly sealed: Buffer;
}

/** The table of credentials. What takes a key needs the vault open. */
export class CredentialRecords {
  readonly #database: StateDatabase;
  readonly #manifest: Manifest;
  readonly #clock: Clock;

  constructor(deps: {
    readonly database: StateDatabase;
    readonly manifest: Manifest;
    readonly clock: Clock;
  }) {
    this.#database = deps.database;
    this.#manifest = deps.manifest;
    this.#clock = deps.clock;
  }

  /** Sorted by provider, then set. */
  list(): readonly CredentialInfo[] {
    return this.#rows().map(infoOf);
  }

  get({ provider, set }: CredentialName): CredentialInfo | undefined {
    const row = this.#row({ provider, set });
    return row && infoOf(row);
  }

  count(): number {
    return this.#rows().length;
  }

  /** Throws HostError for a record that is not the last one we sealed there. */
  open(key: Buffer, name: CredentialName): { credential: StoredCredential; version: number } | undefined {
    const row = this.#row(name);
    return row && { credential: this.#unseal(key, row), version: row.version };
  }

  put(key: Buffer, { provider, set }: CredentialName, credential: StoredCredential): CredentialInfo {
    const checked = StoredCredential.safeParse(credential);
    if (!checked.success) {
      throw new InvalidInputError(`What was given for ${describe({ provider, set })} is no credential`, {
        hint: 'A key or token is one line of printable characters, without spaces.',
      });
    }
    const version = this.#manifest.versionOf(key, nameOf({ provider, set })) + 1;
    const row = {
      provider,
      credential_set: set,
      kind: credential.kind,
      version,
      stored_at: this.#clock.now().toISOString(),
      expires_at: expiryOf(checked.data),
      problem: null,
    };
    const sealed = seal(key, JSON.stringify(checked.data), bindingOf(row));
    this.#database.transaction(() => {
      this.#manifest.set(key, nameOf({ provider, set }), version);
      this.#database
        .prepare(
          `INSERT OR REPLACE INTO credentials
             (provider, credential_set, kind, version, stored_at, expires_at, problem, sealed)
           VALUES (@provider, @credential_set, @kind, @version, @stored_at, @expires_at, @problem, @sealed)`,
        )
        .run({ ...row, sealed });
    })();
    return infoOf({ ...row, sealed });
  }

  setProblem({ provider, set }: CredentialName, problem: string | undefined): void {
    this.#database
      .prepare('UPDATE credentials SET problem = ? WHERE provider = ? AND credential_set = ?')
      .run(problem ?? null, provider, set);
  }

  remove({ provider, set }: CredentialName): boolean {
    const { changes } = this.#database
      .prepare('DELETE FROM credentials WHERE provider = ? AND credential_set = ?')
      .run(provider, set);
    return changes > 0;
  }

  openAll(key: Buffer): readonly (CredentialName & { readonly credential: StoredCredential })[] {
    return this.#rows().map((row) => ({
      provider: row.provider,
      set: row.credential_set,
      credential: this.#unseal(key, row),
    }));
  }

  reseal(from: Buffer, to: Buffer): void {
    const update = this.#database.prepare(
      'UPDATE credentials SET sealed = ? WHERE provider = ? AND credential_set = ?',
    );
    for (const row of this.#rows()) {
      const text = JSON.stringify(this.#unseal(from, row));
      update.run(seal(to, text, bindingOf(row)), row.provider, row.credential_set);
    }
  }

  #unseal(key: Buffer, row: CredentialRow): StoredCredential {
    const name = { provider: row.provider, set: row.credential_set };
    const ofSet = row.credential_set === DEFAULT_SET ? '' : ` --set ${row.credential_set}`;
    const fix = `Store it again: "terok-mcp auth ${row.provider}${ofSet}".`;
    const last = this.#manifest.versionOf(key, nameOf(name));
    if (last !== row.version) {
      throw changedRecord(
        describe(name),
        `is version ${row.version}, but the last one stored is ${last}`,
        fix,
      );
    }
    const text = unseal(key, row.sealed, bindingOf(row));
    if (text === undefined) {
      throw changedRecord(describe(name), 'was changed from outside, or is damaged', fix);
    }
    return StoredCredential.parse(JSON.parse(text.toString()));
  }

  #rows(): readonly CredentialRow[] {
    return this.#database
      .prepare<[], CredentialRow>('SELECT * FROM credentials ORDER BY provider, credential_set')
      .all();
  }

  #row({ provider, set }: CredentialName): CredentialRow | undefined {
    return this.#database
      .prepare<[string, string], CredentialRow>(
        'SELECT * FROM credentials WHERE provider = ? AND credential_set = ?',
      )
      .get(provider, set);
  }
}

/** For people. */
export const describe = ({ provider, set }: CredentialName): string =>
  set === DEFAULT_SET ? provider : `${provider} of the project ${set}`;

const nameOf = ({ provider, set }: CredentialName): string => JSON.stringify(['credential', set, provider]);

const bindingOf = (row: Omit<CredentialRow, 'sealed'>): Binding => [
  'terok-vault-1',
  row.credential_set,
  row.provider,
  row.kind,
  row.version,
];

const infoOf = (row: CredentialRow): CredentialInfo => ({
  provider: row.provider,
  set: row.credential_set,
  kind: knownValue(CredentialKind, row.kind, 'kind of a credential'),
  version: row.version,
  storedAt: row.stored_at,
  expiresAt: row.expires_at ?? undefined,
  problem: row.problem ?? undefined,
});

function expiryOf(credential: StoredCredential): string | null {
  if (credential.kind !== 'oauth' || credential.expires_at === null) return null;
  const time = new Date(credential.expires_at * 1000);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}
