import { z } from 'zod';
import type { StateDatabase } from '../../core/database.ts';
import { Secret } from '../../core/secret.ts';
import type { SshKeyInfo } from '../contract.ts';
import { knownValue } from './known-value.ts';
import { changedRecord, type Manifest } from './manifest.ts';
import { type Binding, seal, unseal } from './sealing.ts';

interface SshKeyRow {
  readonly project: string;
  readonly version: number;
  readonly type: string;
  readonly fingerprint: string;
  readonly public_key: string;
  readonly comment: string;
  readonly created_at: string;
  readonly sealed: Buffer;
}

const Type = z.enum(['ed25519', 'rsa']);

/** The table of SSH keys: public parts in the open, private parts sealed. */
export class SshKeyRecords {
  readonly #database: StateDatabase;
  readonly #manifest: Manifest;

  constructor(deps: { readonly database: StateDatabase; readonly manifest: Manifest }) {
    this.#database = deps.database;
    this.#manifest = deps.manifest;
  }

  list(): readonly SshKeyInfo[] {
    return this.#rows().map(infoOf);
  }

  get(project: string): SshKeyInfo | undefined {
    return this.list().find((info) => info.project === project);
  }

  open(key: Buffer, project: string): Secret | undefined {
    const row = this.#rows().find((one) => one.project === project);
    return row && new Secret(this.#unseal(key, row));
  }

  put(key: Buffer, info: SshKeyInfo, privateKey: Secret): void {
    const version = this.#manifest.versionOf(key, nameOf(info.project)) + 1;
    const row = {
      project: info.project,
      version,
      type: info.type,
      fingerprint: info.fingerprint,
      public_key: info.publicKey,
      comment: info.comment,
      created_at: info.createdAt,
    };
    const sealed = seal(key, privateKey.reveal(), bindingOf(row));
    this.#database.transaction(() => {
      this.#manifest.set(key, nameOf(info.project), version);
      this.#database
        .prepare(
          `INSERT OR REPLACE INTO ssh_keys
             (project, version, type, fingerprint, public_key, comment, created_at, sealed)
           VALUES (@project, @version, @type, @fingerprint, @public_key, @comment, @created_at, @sealed)`,
        )
        .run({ ...row, sealed });
    })();
  }

  remove(project: string): boolean {
    return this.#database.prepare('DELETE FROM ssh_keys WHERE project = ?').run(project).changes > 0;
  }

  openAll(key: Buffer): readonly { readonly info: SshKeyInfo; readonly privateKey: string }[] {
    return this.#rows().map((row) => ({ info: infoOf(row), privateKey: this.#unseal(key, row) }));
  }

  reseal(from: Buffer, to: Buffer): void {
    const update = this.#database.prepare('UPDATE ssh_keys SET sealed = ? WHERE project = ?');
    for (const row of this.#rows()) {
      update.run(seal(to, this.#unseal(from, row), bindingOf(row)), row.project);
    }
  }

  #unseal(key: Buffer, row: SshKeyRow): string {
    const what = `the SSH key of the project ${row.project}`;
    const fix = `Make a new one: "terok-mcp project ssh-init ${row.project} --rotate".`;
    const last = this.#manifest.versionOf(key, nameOf(row.project));
    if (last !== row.version) {
      throw changedRecord(what, `is version ${row.version}, but the last one stored is ${last}`, fix);
    }
    const text = unseal(key, row.sealed, bindingOf(row));
    if (text === undefined) throw changedRecord(what, 'was changed from outside, or is damaged', fix);
    return text.toString();
  }

  #rows(): readonly SshKeyRow[] {
    return this.#database.prepare<[], SshKeyRow>('SELECT * FROM ssh_keys ORDER BY project').all();
  }
}

const nameOf = (project: string): string => JSON.stringify(['ssh', project]);

// The public part too: a private key must not be announced under another's name.
const bindingOf = (row: Omit<SshKeyRow, 'sealed'>): Binding => [
  'terok-vault-1',
  'ssh',
  row.project,
  row.type,
  row.fingerprint,
  row.public_key,
  row.version,
];

const infoOf = (row: SshKeyRow): SshKeyInfo => ({
  project: row.project,
  type: knownValue(Type, row.type, 'type of an SSH key'),
  fingerprint: row.fingerprint,
  publicKey: row.public_key,
  comment: row.comment,
  createdAt: row.created_at,
});
