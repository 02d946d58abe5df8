import { execFileSync } from 'node:child_process';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { KeyFileVault } from '../../../src/runtime/vault/key-file-store.ts';

const KEY = 'sk-very-secret-1234';

let root: string;
let directory: string;
let vault: KeyFileVault;
beforeEach(async () => {
  root = await mkdtemp('/tmp/kv-');
  directory = path.join(root, 'state/credentials');
  vault = new KeyFileVault({ directory });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const file = (name: string): string => path.join(directory, `${name}.json`);
const keyOf = async (name: string): Promise<string | undefined> =>
  (await vault.credential(name))?.get('key')?.reveal();
const stored = (key = KEY): string => `${JSON.stringify({ kind: 'api_key', key })}\n`;

/** Refused as unsafe, with the path and without a word of what is in the file. */
async function refused(name: string): Promise<void> {
  const error: unknown = await vault.credential(name).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'HOST_UNSUPPORTED', message: expect.stringContaining(directory) });
  expect(inspect(error, { depth: 9 })).not.toContain(KEY);
}

describe('keys in files', () => {
  it('are there again for the next process, one a name, and gone when they are removed', async () => {
    expect(await vault.names()).toEqual([]);
    expect(await vault.credential('claude')).toBeUndefined();
    expect(await vault.remove('claude')).toBe(false);
    await vault.storeApiKey('sonar', new Secret('other'));
    await vault.storeApiKey('claude', new Secret('first'));
    await vault.storeApiKey('claude', new Secret(KEY));
    vault = new KeyFileVault({ directory });
    expect(await keyOf('claude')).toBe(KEY);
    expect(await keyOf('sonar')).toBe('other');
    expect(await vault.names()).toEqual(['claude', 'sonar']);
    expect(await vault.remove('claude')).toBe(true);
    expect(await vault.credential('claude')).toBeUndefined();
    expect(await vault.names()).toEqual(['sonar']);
  });

  it('are for their owner alone, whatever the umask', async () => {
    const umask = process.umask(0);
    try {
      await vault.storeApiKey('claude', new Secret(KEY));
    } finally {
      process.umask(umask);
    }
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(file('claude'))).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['claude.json']);
  });

  it('say nothing when they are shown', async () => {
    await vault.storeApiKey('claude', new Secret(KEY));
    const credential = await vault.credential('claude');
    expect(inspect([credential, JSON.stringify([...(credential ?? [])])], { depth: 9 })).not.toContain(KEY);
  });

  it.each(['', '..', '../x', 'a/b', 'A', 'a\0b', '-x', 'x'.repeat(40)])(
    'have no name like %j',
    async (name) => {
      await expect(vault.storeApiKey(name, new Secret(KEY))).rejects.toMatchObject({ code: 'INVALID_INPUT' });
      await expect(vault.credential(name)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
      await expect(vault.remove(name)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    },
  );

  it.each(['', 'two words', 'two\nlines', 'nul\0', 'k'.repeat(20_000)])('are not %j', async (key) => {
    const problem: unknown = await vault
      .storeApiKey('claude', new Secret(key))
      .catch((error: unknown) => error);
    expect(problem).toMatchObject({ code: 'INVALID_INPUT' });
    if (key !== '') expect(inspect(problem)).not.toContain(key);
    expect(await vault.names()).toEqual([]);
  });
});

describe('what others may have touched is refused', () => {
  beforeEach(async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(path.join(root, 'elsewhere'), stored(), { mode: 0o600 });
  });

  it('a file that others can read or write', async () => {
    for (const mode of [0o644, 0o620, 0o604]) {
      await writeFile(file('claude'), stored());
      await chmod(file('claude'), mode);
      await refused('claude');
    }
    await chmod(file('claude'), 0o600);
    expect(await keyOf('claude')).toBe(KEY);
  });

  it('a link, though what it leads to is in order', async () => {
    await symlink(path.join(root, 'elsewhere'), file('claude'));
    await refused('claude');
    expect(await vault.remove('claude')).toBe(true);
    expect(await readFile(path.join(root, 'elsewhere'), 'utf8')).toBe(stored());
  });

  it('a link is replaced by a new key, and what it leads to stays as it is', async () => {
    await symlink(path.join(root, 'elsewhere'), file('claude'));
    await vault.storeApiKey('claude', new Secret('new'));
    expect(await keyOf('claude')).toBe('new');
    expect(await readFile(path.join(root, 'elsewhere'), 'utf8')).toBe(stored());
  });

  it('a pipe, a directory, a file of another kind, and one without end', async () => {
    execFileSync('mkfifo', ['-m', '600', file('pipe')]);
    await mkdir(file('directory'));
    await writeFile(file('text'), KEY, { mode: 0o600 });
    await writeFile(file('other'), JSON.stringify({ kind: 'oauth', key: KEY }), { mode: 0o600 });
    await writeFile(file('large'), stored('k'.repeat(100_000)), { mode: 0o600 });
    for (const name of ['pipe', 'directory', 'text', 'other', 'large']) await refused(name);
  });

  it('a directory that others can enter, or that is a link', async () => {
    await writeFile(file('claude'), stored(), { mode: 0o600 });
    await chmod(directory, 0o750);
    await refused('claude');
    await expect(vault.names()).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
    await vault.storeApiKey('claude', new Secret('new'));
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    const linked = path.join(root, 'linked');
    await symlink(directory, linked);
    const through = new KeyFileVault({ directory: linked });
    await expect(through.credential('claude')).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
    await expect(through.storeApiKey('claude', new Secret('x'))).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
    });
  });

  it('a directory of another user, and a file of one', async () => {
    const isRoot = process.getuid?.() === 0;
    const foreign = isRoot ? directory : '/etc';
    await writeFile(file('claude'), stored(), { mode: 0o600 });
    if (isRoot) {
      await chown(file('claude'), 1234, 1234);
      await refused('claude');
      await chown(directory, 1234, 1234);
    }
    vault = new KeyFileVault({ directory: foreign });
    const isForeign = { code: 'HOST_UNSUPPORTED', message: expect.stringContaining(foreign) };
    await expect(vault.credential('claude')).rejects.toMatchObject(isForeign);
    await expect(vault.names()).rejects.toMatchObject(isForeign);
    await expect(vault.storeApiKey('claude', new Secret(KEY))).rejects.toMatchObject(isForeign);
  });
});
