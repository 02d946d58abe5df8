import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { inspect } from 'node:util';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Command, CommandRunner } from '../../../src/runtime/core/command.ts';
import { HostCommandRunner } from '../../../src/runtime/core/exec.ts';
import { Secret } from '../../../src/runtime/core/secret.ts';
import type { KeyStep } from '../../../src/runtime/vault/store/key-chain.ts';
import type { SealedStore } from '../../../src/runtime/vault/store/sealed-store.ts';
import { writeExport } from '../../../src/runtime/vault/store/vault-export.ts';
import { CHEAPEST_SCRYPT, VaultPlace } from '../../support/sealed-store.ts';

const KEY = 'sk-very-secret-1234';
const apiKey = (key: string) => ({ kind: 'api_key', key }) as const;
const claude = { provider: 'claude', set: 'default' };
const passphrase = new Secret('correct horse battery');
const other = new Secret('another long passphrase');

let place: VaultPlace;
beforeEach(async () => {
  place = await VaultPlace.make();
});
afterEach(() => place[Symbol.asyncDispose]());

const keyFiles = async (): Promise<readonly string[]> =>
  (await readdir(place.directory)).filter((name) => name.startsWith('vault.key'));
const valueIn = (store: SealedStore): string | undefined => {
  const credential = store.open(claude)?.credential;
  return credential?.kind === 'api_key' ? credential.key : undefined;
};
async function stored(): Promise<SealedStore> {
  const store = await place.open();
  store.put(claude, apiKey(KEY));
  return store;
}

describe('a passphrase', () => {
  it('opens the vault after each start, and nothing else does', async () => {
    const store = await stored();
    expect(await store.changeKey({ source: 'passphrase', passphrase })).toMatchObject({
      state: 'unlocked',
      keySource: 'passphrase',
    });
    expect(await keyFiles()).toEqual([]);
    expect(valueIn(store)).toBe(KEY);
    const next = await place.open();
    expect(next.status()).toMatchObject({
      state: 'locked',
      lockedBecause: expect.stringContaining('terok-mcp vault unlock'),
      credentials: 1,
    });
    expect(next.list()).toMatchObject([{ provider: 'claude', kind: 'api_key' }]);
    expect(() => valueIn(next)).toThrow('The vault is locked');
    expect(() => next.secrets()).toThrow('The vault is locked');
    await expect(next.unlock()).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
    await expect(next.unlock(other)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(next.status()).toMatchObject({
      state: 'locked',
      lockedBecause: expect.stringContaining('its passphrase alone'),
    });
    expect(await next.unlock(passphrase)).toMatchObject({ state: 'unlocked', lockedBecause: undefined });
    expect(valueIn(next)).toBe(KEY);
    await expect(next.unlock(other)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(valueIn(next)).toBe(KEY);
  });

  it('locks again at a word, and tells who listens', async () => {
    const store = await stored();
    await store.changeKey({ source: 'passphrase', passphrase });
    const seen: string[] = [];
    store.onChange(() => seen.push(store.status().state));
    expect(store.lock().state).toBe('locked');
    expect(store.lock().state).toBe('locked');
    expect(() => store.put(claude, apiKey('new'))).toThrow('The vault is locked');
    await expect(store.export(other)).rejects.toThrow('The vault is locked');
    await expect(store.rotate()).rejects.toThrow('The vault is locked');
    await expect(store.changeKey({ source: 'file' })).rejects.toThrow('The vault is locked');
    await store.unlock(passphrase);
    expect(seen).toEqual(['locked', 'locked', 'unlocked']);
  });

  it('is stretched with scrypt of 128 MiB, and stands nowhere', async () => {
    const store = await place.open({ scryptCost: undefined });
    store.put(claude, apiKey(KEY));
    await store.changeKey({ source: 'passphrase', passphrase });
    await place.close();
    const database = new Database(place.file);
    const row = database.prepare<[], { note: string }>('SELECT note FROM vault_key').get();
    database.close();
    expect(JSON.parse(row?.note ?? '')).toMatchObject({ kdf: 'scrypt', N: 2 ** 17, r: 8, p: 1 });
    for (const name of await readdir(place.directory)) {
      const bytes = await readFile(path.join(place.directory, name));
      expect(bytes.includes(passphrase.reveal()), name).toBe(false);
    }
  });

  it('that was changed opens nothing that is left in the files', async () => {
    const store = await stored();
    await store.changeKey({ source: 'passphrase', passphrase });
    const database = new Database(place.file, { readonly: true });
    const row = database
      .prepare<[], { note: string; data_key: Buffer }>('SELECT note, data_key FROM vault_key')
      .get();
    database.close();
    const { salt } = JSON.parse(row?.note ?? '{}');
    await store.changeKey({ source: 'passphrase', passphrase: other });
    for (const name of await readdir(place.directory)) {
      const bytes = await readFile(path.join(place.directory, name));
      expect(bytes.includes(String(salt)), name).toBe(false);
      expect(bytes.includes(row?.data_key ?? 'none'), name).toBe(false);
    }
  });

  it('of no length, or missing, is refused and changes nothing', async () => {
    const store = await stored();
    for (const next of [{ passphrase: new Secret('short') }, {}]) {
      const change = store.changeKey({ source: 'passphrase', ...next });
      await expect(change).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    }
    expect(store.status()).toMatchObject({ state: 'unlocked', keySource: 'file' });
    expect(valueIn(await place.open())).toBe(KEY);
  });

  it('whose cost somebody changed to all the memory there is opens nothing and asks for none', async () => {
    const store = await stored();
    await store.changeKey({ source: 'passphrase', passphrase });
    await place.close();
    const database = new Database(place.file);
    database.exec(`UPDATE vault_key SET note = replace(note, '"N":32768', '"N":1073741824')`);
    database.close();
    const next = await place.open();
    await expect(next.unlock(passphrase)).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
  });

  it('may be chosen before anything is stored, and the first record is sealed under it', async () => {
    const store = await place.open();
    await store.changeKey({ source: 'passphrase', passphrase });
    store.put(claude, apiKey(KEY));
    expect(await keyFiles()).toEqual([]);
    const next = await place.open();
    await next.unlock(passphrase);
    expect(valueIn(next)).toBe(KEY);
  });
});

describe('a key file', () => {
  it('does not lock, because it would open again at once; it says what it is worth', async () => {
    const store = await stored();
    expect(() => store.lock()).toThrow('would open again');
    expect(store.status().keyPlace).toContain('every program of yours can read');
    expect(store.status().state).toBe('unlocked');
  });

  it('is made anew by a change, beside the old one, which then goes', async () => {
    const store = await stored();
    const before = await readFile(path.join(place.directory, 'vault.key'), 'utf8');
    await store.changeKey({ source: 'file' });
    const [name = ''] = await keyFiles();
    expect(await keyFiles()).toHaveLength(1);
    expect(await readFile(path.join(place.directory, name), 'utf8')).not.toBe(before);
    expect((await stat(path.join(place.directory, name))).mode & 0o777).toBe(0o600);
    expect(store.status().keyPlace).toContain(name);
    await store.changeKey({ source: 'file' });
    expect(await keyFiles()).toEqual(['vault.key']);
    expect(valueIn(await place.open())).toBe(KEY);
  });

  it('of another vault is never overwritten', async () => {
    await stored();
    await place.close();
    const before = await readFile(path.join(place.directory, 'vault.key'), 'utf8');
    for (const name of (await readdir(place.directory)).filter((entry) => entry.startsWith('vault.db'))) {
      await import('node:fs/promises').then(({ rm }) => rm(path.join(place.directory, name)));
    }
    await stored();
    expect(await readFile(path.join(place.directory, 'vault.key'), 'utf8')).toBe(before);
    expect(await keyFiles()).toHaveLength(2);
    expect(valueIn(await place.open())).toBe(KEY);
  });
});

describe('a rotation', () => {
  it('seals everything anew, and what was sealed before opens no more', async () => {
    const store = await stored();
    store.put({ provider: 'sonar', set: 'demo' }, apiKey('other'));
    const old = sealedIn();
    await store.rotate();
    expect(valueIn(store)).toBe(KEY);
    expect(sealedIn()).not.toEqual(old);
    const next = await place.open();
    expect(next.secrets().map(({ secret }) => secret.reveal())).toEqual([KEY, 'other']);
    await place.close();
    const bytes = await readFile(place.file);
    for (const sealed of old) expect(bytes.includes(sealed.subarray(0, 28))).toBe(false);
  });

  it('of an empty vault is nothing', async () => {
    expect((await (await place.open()).rotate()).state).toBe('empty');
    expect(await keyFiles()).toEqual([]);
  });

  const sealedIn = (): readonly Buffer[] => {
    const database = new Database(place.file, { readonly: true });
    try {
      return database
        .prepare<[], { sealed: Buffer }>('SELECT sealed FROM credentials')
        .all()
        .map(({ sealed }) => sealed);
    } finally {
      database.close();
    }
  };
});

describe('a process that ends between two steps', () => {
  class Cut extends Error {}
  const cutAt =
    (name: Parameters<KeyStep>[0]): KeyStep =>
    (step) => {
      if (step === name) throw new Cut();
    };
  const opens = async (): Promise<string | undefined> => {
    const store = await place.open();
    if (store.status().state === 'locked')
      await store.unlock(passphrase).catch(async () => await store.unlock(other));
    return valueIn(store);
  };

  it.each(['change:announced', 'change:kept', 'change:committed'] as const)(
    'at %s of a change leaves a vault that opens, and no key that opens nothing',
    async (step) => {
      for (const next of [{ source: 'file' }, { source: 'passphrase', passphrase }] as const) {
        await place[Symbol.asyncDispose]();
        place = await VaultPlace.make();
        await stored();
        const store = await place.open({ step: cutAt(step) });
        await expect(store.changeKey(next)).rejects.toBeInstanceOf(Cut);
        expect(await opens()).toBe(KEY);
        const { keySource } = (await place.open()).status();
        expect(keySource).toBe(step === 'change:committed' ? next.source : 'file');
        expect(await keyFiles()).toHaveLength(keySource === 'file' ? 1 : 0);
      }
    },
  );

  it('at a rotation leaves all records as they were', async () => {
    await stored();
    const store = await place.open({ step: cutAt('rotate:sealed') });
    await expect(store.rotate()).rejects.toBeInstanceOf(Cut);
    expect(valueIn(store)).toBe(KEY);
    expect(await opens()).toBe(KEY);
  });

  it('before the first record leaves an empty vault, which takes the next', async () => {
    const store = await place.open({ step: cutAt('first:kept') });
    expect(() => store.put(claude, apiKey(KEY))).toThrow(Cut);
    expect((await place.open()).status().state).toBe('empty');
    expect(await keyFiles()).toEqual([]);
    await stored();
    expect(await opens()).toBe(KEY);
  });

  it('is of no matter to a first record that is stored while the first key is being kept', async () => {
    const store = await place.open();
    const change = store.changeKey({ source: 'passphrase', passphrase });
    await Promise.resolve();
    store.put(claude, apiKey(KEY));
    await change;
    expect(valueIn(store)).toBe(KEY);
    expect(await opens()).toBe(KEY);
    expect(await keyFiles()).toEqual([]);
  });
});

describe('an export', () => {
  const ssh = {
    project: 'demo',
    type: 'ed25519',
    fingerprint: 'SHA256:abc',
    publicKey: 'ssh-ed25519 AAAA demo',
    comment: 'demo',
    createdAt: '2026-01-01T00:00:00.000Z',
  } as const;

  async function exported(): Promise<string> {
    const store = await stored();
    store.put({ provider: 'sonar', set: 'demo' }, apiKey('other'));
    store.putSshKey(ssh, new Secret('PRIVATE'));
    return await store.export(passphrase);
  }

  it('brings everything into another vault, sealed on its way', async () => {
    const text = await exported();
    for (const secret of [KEY, 'PRIVATE', 'claude', passphrase.reveal()]) expect(text).not.toContain(secret);
    await using mine = await VaultPlace.make();
    const store = await mine.open();
    expect(await store.import(text, passphrase, { overwrite: false })).toEqual([
      'claude',
      'sonar of the project demo',
      'SSH key of the project demo',
    ]);
    expect(valueIn(store)).toBe(KEY);
    expect(store.openSshKey('demo')?.reveal()).toBe('PRIVATE');
    expect(store.sshKeys()).toEqual([ssh]);
  });

  it('leaves what is there, unless it shall be replaced', async () => {
    const text = await exported();
    const store = await place.open();
    store.put(claude, apiKey('mine'));
    expect(await store.import(text, passphrase, { overwrite: false })).toEqual([]);
    expect(valueIn(store)).toBe('mine');
    expect(await store.import(text, passphrase, { overwrite: true })).toHaveLength(3);
    expect(valueIn(store)).toBe(KEY);
  });

  it.each([
    ['a name that clears the screen', { provider: 'cla\u001b[2Jude', set: 'default' }],
    ['a set that is a path', { provider: 'claude', set: '../demo' }],
  ])('of somebody who knows its passphrase brings no record with %s', async (_, name) => {
    const credentials = [
      { ...claude, credential: apiKey(KEY) },
      { ...name, credential: apiKey(KEY) },
    ];
    const text = await writeExport({ credentials, sshKeys: [] }, passphrase, CHEAPEST_SCRYPT);
    const store = await place.open();
    await expect(store.import(text, passphrase, { overwrite: true })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      hint: expect.stringContaining('Nothing was imported'),
    });
    expect(store.list()).toEqual([]);
  });

  it('brings no SSH key whose public line is two', async () => {
    const info = { ...ssh, publicKey: 'ssh-ed25519 AAAA\nssh-ed25519 BBBB' };
    const sshKeys = [{ info, privateKey: 'PRIVATE' }];
    const text = await writeExport({ credentials: [], sshKeys }, passphrase, CHEAPEST_SCRYPT);
    const store = await place.open();
    await expect(store.import(text, passphrase, { overwrite: true })).rejects.toThrow('no vault can hold');
    expect(store.sshKeys()).toEqual([]);
  });

  it('with a wrong passphrase, changed, cut off, newer, or too costly is refused as a whole', async () => {
    const text = await exported();
    const envelope = JSON.parse(text);
    await using mine = await VaultPlace.make();
    const store = await mine.open();
    const refused = async (given: string, secret = passphrase): Promise<unknown> => {
      const error: unknown = await store
        .import(given, secret, { overwrite: true })
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: 'INVALID_INPUT',
        hint: expect.stringContaining('Nothing was imported'),
      });
      expect(inspect(error)).not.toContain(KEY);
      return error;
    };
    const changed = (change: object): string => JSON.stringify({ ...envelope, ...change });
    await refused(text, other);
    await refused(changed({ sealed: `AAAA${String(envelope.sealed).slice(4)}` }));
    await refused(changed({ N: 2 ** 16 }));
    await refused(changed({ salt: Buffer.alloc(16).toString('base64') }));
    for (const change of [{ N: 2 ** 30 }, { N: 2 }, { p: 1000 }, { format: 'other' }, { more: 1 }]) {
      await refused(changed(change));
    }
    expect(await refused(changed({ version: 2 }))).toMatchObject({
      message: expect.stringContaining('newer'),
    });
    await refused(text.slice(0, -100));
    await refused('');
    await refused('x'.repeat(20 * 1024 * 1024));
    expect(store.status()).toMatchObject({ state: 'empty', credentials: 0, sshKeys: 0 });
  });
});

describe('a program that keeps the key', () => {
  /** Records what it was told, and runs it. */
  class Listening implements CommandRunner {
    readonly heard: { readonly file: string; readonly args: readonly string[]; readonly env: unknown }[] = [];
    readonly #runner = new HostCommandRunner({ baseEnv: { PATH: '/nonexistent' } });
    async run<T>(command: Command<T>): Promise<T> {
      this.heard.push({ file: command.file, args: command.args, env: command.env });
      return await this.#runner.run(command);
    }
    stream: CommandRunner['stream'] = (command) => this.#runner.stream(command);
    detach: CommandRunner['detach'] = async (command) => await this.#runner.detach(command);
  }

  it.each([
    ['systemd-creds', 'systemd-creds', 'systemd'],
    ['keyring', 'keyctl', 'keyutils'],
    ['desktop', 'secret-tool', 'libsecret-tools'],
  ] as const)(
    'of %s that is missing is named with its package, and nothing takes its place',
    async (source, file, name) => {
      await stored();
      const runner = new Listening();
      const store = await place.open({ runner });
      await expect(store.changeKey({ source, passphrase })).rejects.toMatchObject({
        code: 'HOST_UNSUPPORTED',
        message: `The program "${file}" is not installed`,
        hint: expect.stringContaining(name),
      });
      expect(store.status()).toMatchObject({ state: 'unlocked', keySource: 'file' });
      expect(JSON.stringify(runner.heard)).not.toContain(passphrase.reveal());
      expect(valueIn(await place.open())).toBe(KEY);
      await place.close();
      const database = new Database(place.file);
      database.exec(`UPDATE vault_key SET source = '${source}'`);
      database.close();
      const next = await place.open({ runner });
      expect(next.status()).toMatchObject({ state: 'locked', lockedBecause: expect.stringContaining(name) });
      expect(await keyFiles()).toHaveLength(1);
    },
  );
});
