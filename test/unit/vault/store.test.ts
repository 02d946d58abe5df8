import { chmod, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { inspect } from 'node:util';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/runtime/core/secret.ts';
import type { SshKeyInfo } from '../../../src/runtime/vault/contract.ts';
import { VaultPlace } from '../../support/sealed-store.ts';

const KEY = 'sk-very-secret-1234';
const apiKey = (key: string) => ({ kind: 'api_key', key }) as const;
const claude = { provider: 'claude', set: 'default' };
const oauth = {
  kind: 'oauth',
  access_token: 'access-1',
  refresh_token: 'refresh-1',
  expires_at: 1_800_000_000,
  facts: { id_token: 'id-1', scopes: ['a'] },
} as const;
const credentialOf = { ...oauth, facts: { id_token: 'id-1', scopes: ['a'] } };
const ssh: SshKeyInfo = {
  project: 'demo',
  type: 'ed25519',
  fingerprint: 'SHA256:abc',
  publicKey: 'ssh-ed25519 AAAA demo',
  comment: 'demo',
  createdAt: '2026-01-01T00:00:00.000Z',
};

let place: VaultPlace;
beforeEach(async () => {
  place = await VaultPlace.make();
});
afterEach(() => place[Symbol.asyncDispose]());

/** What somebody with an editor of databases can do. */
async function tamper(change: (database: Database.Database) => void): Promise<void> {
  await place.close();
  const database = new Database(place.file);
  change(database);
  database.close();
}

describe('a vault', () => {
  it('is empty until something is stored, then there again for the next process', async () => {
    const store = await place.open();
    expect(store.status()).toMatchObject({ state: 'empty', keySource: 'file', credentials: 0, sshKeys: 0 });
    expect(store.secrets()).toEqual([]);
    expect(store.put(claude, apiKey(KEY))).toMatchObject({
      ...claude,
      kind: 'api_key',
      version: 1,
      expiresAt: undefined,
    });
    store.put({ provider: 'codex', set: 'demo' }, { ...credentialOf });
    const next = await place.open();
    expect(next.status()).toMatchObject({ state: 'unlocked', keySource: 'file', credentials: 2 });
    expect(next.status().keyPlace).toContain(path.join(place.directory, 'vault.key'));
    expect(next.open(claude)).toEqual({ credential: apiKey(KEY), version: 1 });
    expect(next.open({ provider: 'codex', set: 'demo' })?.credential).toEqual(credentialOf);
    expect(next.list().map((info) => [info.provider, info.set, info.expiresAt])).toEqual([
      ['claude', 'default', undefined],
      ['codex', 'demo', '2027-01-15T08:00:00.000Z'],
    ]);
    expect(next.secrets().map(({ secret }) => secret.reveal())).toEqual([
      KEY,
      'access-1',
      'refresh-1',
      'id-1',
    ]);
  });

  it('holds no value in the open, and its files are for their owner alone, whatever the umask', async () => {
    const umask = process.umask(0);
    try {
      const store = await place.open();
      store.put(claude, apiKey(KEY));
      store.putSshKey(ssh, new Secret('PRIVATE KEY'));
      for (const name of ['vault.db', 'vault.key', 'vault.db-wal', 'vault.db-shm']) {
        expect((await stat(path.join(place.directory, name))).mode & 0o777, name).toBe(0o600);
      }
      for (const name of ['vault.db', 'vault.db-wal']) {
        const bytes = await readFile(path.join(place.directory, name));
        expect(bytes.includes(KEY), name).toBe(false);
        expect(bytes.includes('PRIVATE KEY'), name).toBe(false);
      }
    } finally {
      process.umask(umask);
    }
  });

  it('leaves no trace of what was removed, which its key would open', async () => {
    const store = await place.open();
    store.put({ provider: 'claude', set: 'default' }, { kind: 'api_key', key: 'sk-very-secret-1234' });
    const database = new Database(place.file, { readonly: true });
    const row = database.prepare<[], { sealed: Buffer }>('SELECT sealed FROM credentials').get();
    database.close();
    const holds = async (): Promise<boolean> => {
      const names = (await readdir(place.directory)).filter((name) => name.startsWith('vault.db'));
      const files = await Promise.all(names.map((name) => readFile(path.join(place.directory, name))));
      return files.some((bytes) => bytes.includes(row?.sealed ?? ''));
    };
    expect(await holds()).toBe(true);
    store.remove({ provider: 'claude', set: 'default' });
    expect(await holds()).toBe(false);
  });

  it('takes the project’s own set before the one of all', async () => {
    const store = await place.open();
    store.put(claude, apiKey('all'));
    expect(store.find('claude', 'demo')).toMatchObject({ set: 'default' });
    store.put({ provider: 'claude', set: 'demo' }, apiKey('own'));
    expect(store.find('claude', 'demo')).toMatchObject({ set: 'demo' });
    expect(store.find('codex', 'demo')).toBeUndefined();
  });

  it('lets whoever renewed first keep the word, and gives no version twice', async () => {
    const store = await place.open();
    const first = store.put(claude, apiKey('a'));
    expect(store.replace(first, apiKey('b'))).toMatchObject({ version: 2 });
    expect(store.replace(first, apiKey('c'))).toBeUndefined();
    expect(store.open(claude)?.credential).toEqual(apiKey('b'));
    expect(store.remove(claude)).toBe(true);
    expect(store.remove(claude)).toBe(false);
    expect(store.replace({ ...claude, version: 2 }, apiKey('c'))).toBeUndefined();
    expect(store.put(claude, apiKey('d'))).toMatchObject({ version: 3 });
  });

  it('keeps a problem until the next value, and tells of every change', async () => {
    const store = await place.open();
    const seen: string[] = [];
    const stop = store.onChange(() => seen.push(store.list()[0]?.problem ?? 'none'));
    store.put(claude, apiKey(KEY));
    store.setProblem(claude, 'Log in again');
    store.put(claude, apiKey(KEY));
    stop();
    store.remove(claude);
    expect(seen).toEqual(['none', 'Log in again', 'none']);
  });

  it('keeps SSH keys and renewals', async () => {
    const store = await place.open();
    const renewal = { id: 'r1', provider: 'codex', set: 'default', version: 4, startedAt: 'now' };
    store.putSshKey(ssh, new Secret('PRIVATE'));
    store.beginRenewal(renewal);
    const next = await place.open();
    expect(next.sshKeys()).toEqual([ssh]);
    expect(next.openSshKey('demo')?.reveal()).toBe('PRIVATE');
    expect(next.openSshKey('other')).toBeUndefined();
    expect(next.renewals()).toEqual([renewal]);
    next.endRenewal('r1');
    expect(next.renewals()).toEqual([]);
    expect(next.removeSshKey('demo')).toBe(true);
    expect(next.removeSshKey('demo')).toBe(false);
  });

  it.each(['', 'two words', 'two\nlines', 'nul\0'])(
    'stores no %j as a key, and does not repeat it',
    async (key) => {
      const store = await place.open();
      const error = thrownBy(() => store.put(claude, apiKey(key)));
      expect(error).toMatchObject({ code: 'INVALID_INPUT' });
      if (key !== '') expect(inspect(error)).not.toContain(key);
      expect(store.list()).toEqual([]);
    },
  );
});

describe('what somebody changed in vault.db is refused by the record’s name', () => {
  const changed = { code: 'HOST_UNSUPPORTED', message: expect.stringContaining('claude') };

  it('the values of two rows exchanged', async () => {
    const store = await place.open();
    store.put(claude, apiKey(KEY));
    store.put({ provider: 'sonar', set: 'default' }, apiKey('other'));
    await tamper((database) => {
      const rows = database
        .prepare<[], { provider: string; sealed: Buffer }>('SELECT * FROM credentials')
        .all();
      const update = database.prepare('UPDATE credentials SET sealed = ? WHERE provider = ?');
      update.run(rows[1]?.sealed, rows[0]?.provider);
      update.run(rows[0]?.sealed, rows[1]?.provider);
    });
    const next = await place.open();
    expect(thrownBy(() => next.open(claude))).toMatchObject(changed);
    expect(thrownBy(() => next.secrets())).toMatchObject({ code: 'HOST_UNSUPPORTED' });
    next.put(claude, apiKey('new'));
    expect(next.open(claude)?.credential).toEqual(apiKey('new'));
  });

  it('a row renamed to another set or kind, or of which a bit is different', async () => {
    for (const sql of [
      "UPDATE credentials SET credential_set = 'demo'",
      "UPDATE credentials SET kind = 'pat'",
      'UPDATE credentials SET version = version + 1',
      "UPDATE credentials SET sealed = x'00'",
      'DELETE FROM manifest',
      "UPDATE manifest SET sealed = x'00'",
      "UPDATE vault_key SET note = '../../etc/passwd'",
    ]) {
      await using other = await VaultPlace.make();
      (await other.open()).put(claude, apiKey(KEY));
      await other.close();
      const database = new Database(other.file);
      database.exec(sql);
      database.close();
      const store = await other.open();
      expect(
        thrownBy(() => store.secrets()),
        sql,
      ).toMatchObject({ code: 'HOST_UNSUPPORTED' });
    }
  });

  it('a row put back as it once was, whole, though it was sealed by us', async () => {
    const store = await place.open();
    const rowsOf = (database: Database.Database) =>
      database.prepare<[], Record<string, unknown>>('SELECT * FROM credentials').all()[0];
    store.put(claude, apiKey('old'));
    let old: Record<string, unknown> | undefined;
    await tamper((database) => {
      old = rowsOf(database);
    });
    const putBack = async (): Promise<void> =>
      await tamper((database) => {
        database
          .prepare(
            'INSERT OR REPLACE INTO credentials VALUES (@provider, @credential_set, @kind, @version, @stored_at, @expires_at, @problem, @sealed)',
          )
          .run(old);
      });
    // While it is the present one, putting it back is of no effect.
    await putBack();
    expect((await place.open()).open(claude)?.credential).toEqual(apiKey('old'));
    (await place.open()).put(claude, apiKey('new'));
    await putBack();
    const next = await place.open();
    expect(thrownBy(() => next.open(claude))).toMatchObject(changed);
    next.remove(claude);
    next.put(claude, apiKey('newer'));
    await putBack();
    const last = await place.open();
    expect(thrownBy(() => last.open(claude))).toMatchObject(changed);
  });
});

describe('vault.db is refused', () => {
  const problem = async (): Promise<unknown> => await place.open().catch((error: unknown) => error);
  beforeEach(async () => {
    (await place.open()).put(claude, apiKey(KEY));
    await place.close();
  });

  it('when others may read it, with the command that closes it', async () => {
    for (const mode of [0o644, 0o620, 0o604]) {
      await chmod(place.file, mode);
      expect(await problem()).toMatchObject({
        code: 'HOST_UNSUPPORTED',
        message: expect.stringContaining(place.file),
        hint: expect.stringContaining(`chmod 600 ${place.file}`),
      });
    }
    await chmod(place.file, 0o600);
    expect((await place.open()).open(claude)).toBeDefined();
  });

  it('when it is a link, or lies where others may write', async () => {
    await rename(place.file, `${place.file}.real`);
    await symlink(`${place.file}.real`, place.file);
    expect(await problem()).toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringContaining('is a link'),
    });
    await rename(`${place.file}.real`, place.file);
    await chmod(place.directory, 0o770);
    expect(await problem()).toMatchObject({
      code: 'HOST_UNSUPPORTED',
      hint: expect.stringContaining('chmod go-w'),
    });
  });

  it('when it is damaged', async () => {
    await writeFile(place.file, 'no database'.repeat(1000));
    expect(await problem()).toMatchObject({
      code: 'HOST_UNSUPPORTED',
      hint: expect.stringContaining('damaged'),
    });
  });

  it('when a page in it is damaged', async () => {
    const bytes = await readFile(place.file);
    bytes.fill(0xff, 4096 * 3);
    await writeFile(place.file, bytes);
    expect(await problem()).toMatchObject({
      code: 'HOST_UNSUPPORTED',
      hint: expect.stringContaining('damaged'),
    });
  });

  it('when a newer release wrote it, and stays as it is', async () => {
    await tamper((database) => database.pragma('user_version = 99'));
    const before = await readFile(place.file);
    expect(await problem()).toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringContaining('newer'),
    });
    expect(await readFile(place.file)).toEqual(before);
  });
});

describe('vault.key is refused, and the vault stays locked and says why', () => {
  let keyFile: string;
  beforeEach(async () => {
    (await place.open()).put(claude, apiKey(KEY));
    await place.close();
    keyFile = path.join(place.directory, 'vault.key');
  });

  async function refused(because: string): Promise<void> {
    const store = await place.open();
    expect(store.status()).toMatchObject({
      state: 'locked',
      lockedBecause: expect.stringContaining(because),
    });
    expect(store.status().lockedBecause).toContain(keyFile);
    expect(store.list()).toHaveLength(1);
    expect(thrownBy(() => store.open(claude))).toMatchObject({ message: 'The vault is locked' });
    expect(thrownBy(() => store.put(claude, apiKey('b')))).toMatchObject({ message: 'The vault is locked' });
    await expect(store.unlock()).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
  }

  it('when others may read it, until they may not', async () => {
    await chmod(keyFile, 0o640);
    await refused(`chmod 600 ${keyFile}`);
    await chmod(keyFile, 0o600);
    expect((await place.open()).open(claude)).toBeDefined();
  });

  it('when it is gone, a link, another vault’s, or broken', async () => {
    await rename(keyFile, `${keyFile}.real`);
    await refused('is not there');
    await symlink(`${keyFile}.real`, keyFile);
    await refused('is a link');
    await rename(`${keyFile}.real`, keyFile);
    const text = await readFile(keyFile, 'utf8');
    await writeFile(keyFile, `0123456789abcdef ${text.split(' ')[1]}`);
    await refused('is not the key of this vault');
    await writeFile(keyFile, `${text.split(' ')[0]} AAAA`);
    await refused('does not hold a key');
    await writeFile(keyFile, 'x'.repeat(100_000));
    await refused('too large');
  });
});

describe('key files of earlier releases', () => {
  let directory: string;
  beforeEach(async () => {
    directory = path.join(place.directory, 'credentials');
    await mkdir(directory, { mode: 0o700 });
  });
  const write = async (name: string, content: unknown, mode = 0o600): Promise<void> =>
    await writeFile(path.join(directory, `${name}.json`), `${JSON.stringify(content)}\n`, { mode });

  it('go into the vault, and are then gone', async () => {
    await write('claude', apiKey(KEY));
    await write('sonar', apiKey('other'));
    const store = await place.open();
    expect(store.open(claude)?.credential).toEqual(apiKey(KEY));
    expect(store.list()).toHaveLength(2);
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('wait while the vault is locked', async () => {
    const store = await place.open();
    await store.changeKey({ source: 'passphrase', passphrase: new Secret('correct horse') });
    await write('claude', apiKey(KEY));
    const next = await place.open();
    expect(next.list()).toEqual([]);
    expect((await stat(path.join(directory, 'claude.json'))).isFile()).toBe(true);
    await next.unlock(new Secret('correct horse'));
    expect(next.open(claude)?.credential).toEqual(apiKey(KEY));
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('stay where they are when others could have read them, or the vault holds another key', async () => {
    await write('claude', apiKey(KEY));
    await chmod(path.join(directory, 'claude.json'), 0o644);
    await write('other', { kind: 'oauth', key: KEY });
    await writeFile(path.join(place.directory, 'elsewhere'), JSON.stringify(apiKey(KEY)), { mode: 0o600 });
    await symlink(path.join(place.directory, 'elsewhere'), path.join(directory, 'linked.json'));
    const store = await place.open();
    expect(store.list()).toEqual([]);
    store.put(claude, apiKey('newer'));
    await chmod(path.join(directory, 'claude.json'), 0o600);
    const next = await place.open();
    expect(next.open(claude)?.credential).toEqual(apiKey('newer'));
    expect((await stat(path.join(directory, 'claude.json'))).isFile()).toBe(true);
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
