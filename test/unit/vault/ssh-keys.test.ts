import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SshLab } from '../../support/ssh-lab.ts';

let lab: SshLab;
let legacy: string;
beforeEach(async () => {
  lab = await SshLab.start();
  legacy = path.join(lab.directory, 'core/ssh-keys/demo');
  await mkdir(legacy, { recursive: true });
});
afterEach(() => lab[Symbol.asyncDispose]());

const ed25519 = { type: 'ed25519', rotate: false } as const;
const keygen = (...args: readonly string[]): string =>
  execFileSync('ssh-keygen', [...args], { encoding: 'utf8' });
function leave(name: string, ...args: readonly string[]): string {
  const file = path.join(legacy, name);
  keygen('-q', '-N', '', '-f', file, '-C', 'from before', ...args);
  return file;
}

describe('the SSH key of a project', () => {
  it('is made once, also when two ask at the same time', async () => {
    const [first, second] = await Promise.all([
      lab.keys.init('demo', ed25519),
      lab.keys.init('demo', ed25519),
    ]);
    expect([first.origin, second.origin].toSorted()).toEqual(['existing', 'generated']);
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(await lab.keys.init('demo', { type: 'rsa', rotate: false })).toMatchObject({
      origin: 'existing',
      type: 'ed25519',
    });
  });

  it.each(['ed25519', 'rsa'] as const)('of type %s is what ssh-keygen makes of it', async (type) => {
    const key = await lab.keys.init('demo', { type, rotate: false, comment: 'my comment' });
    const file = path.join(lab.directory, 'key.pub');
    await writeFile(file, `${key.publicKey}\n`);
    const bits = type === 'rsa' ? 3072 : 256;
    expect(keygen('-l', '-f', file)).toBe(`${bits} ${key.fingerprint} my comment (${type.toUpperCase()})\n`);
    const pem = lab.store.openSshKey('demo')?.reveal() ?? '';
    expect(pem).toContain('BEGIN PRIVATE KEY');
    expect(createPrivateKey(pem).asymmetricKeyType).toBe(type);
  });

  it('is another after a rotation, and gone after a removal', async () => {
    const first = await lab.keys.init('demo', ed25519);
    const second = await lab.keys.init('demo', { type: 'rsa', rotate: true });
    expect(second).toMatchObject({ origin: 'generated', type: 'rsa' });
    expect(lab.keys.list().map(({ fingerprint }) => fingerprint)).toEqual([second.fingerprint]);
    expect(second.fingerprint).not.toBe(first.fingerprint);
    expect(await lab.keys.remove('demo')).toBe(true);
    expect(await lab.keys.remove('demo')).toBe(false);
  });

  it('is nowhere but in the vault', async () => {
    const key = await lab.keys.init('demo', ed25519);
    const seed =
      createPrivateKey(lab.store.openSshKey('demo')?.reveal() ?? '').export({ format: 'jwk' }).d ?? 'absent';
    expect(inspect(key, { depth: 5 })).not.toContain(seed);
    const database = await readFile(path.join(lab.directory, 'vault.db'));
    expect(database.includes(Buffer.from(seed, 'base64url'))).toBe(false);
    expect(database.includes('PRIVATE KEY')).toBe(false);
  });

  it('refuses a comment that is more than a line', async () => {
    await expect(lab.keys.init('demo', { ...ed25519, comment: 'a\nssh-rsa AAAA' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });
});

describe('a key file of an earlier release', () => {
  it.each([
    ['id_ed25519', ['-t', 'ed25519']],
    ['id_rsa', ['-t', 'rsa', '-b', '2048']],
    ['id_rsa', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
    ['id_rsa', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']],
  ])('%s (%j) is taken in place of a new key, and left where it is', async (name, args) => {
    const file = leave(name, ...args);
    await writeFile(path.join(legacy, 'config'), 'Host *\n');
    const key = await lab.keys.init('demo', ed25519);
    expect(key).toMatchObject({ origin: 'imported', importedFrom: file });
    expect(keygen('-l', '-f', file)).toContain(key.fingerprint);
    expect(await readFile(file, 'utf8')).toContain('PRIVATE KEY');
    await rm(legacy, { recursive: true });
    expect(await lab.keys.init('demo', ed25519)).toMatchObject({
      origin: 'existing',
      fingerprint: key.fingerprint,
    });
  });

  it('under a passphrase is refused, with what to do', async () => {
    keygen('-q', '-t', 'ed25519', '-N', 'a passphrase', '-f', path.join(legacy, 'id_ed25519'));
    await expect(lab.keys.init('demo', ed25519)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('under a passphrase'),
      hint: expect.stringContaining('ssh-keygen -p'),
    });
    expect(lab.keys.list()).toEqual([]);
    expect(await lab.keys.init('demo', { type: 'ed25519', rotate: true })).toMatchObject({
      origin: 'generated',
    });
  });

  it('is refused when somebody else could have put or read it, and not read from elsewhere', async () => {
    const file = leave('id_ed25519', '-t', 'ed25519');
    await chmod(file, 0o644);
    await expect(lab.keys.init('demo', ed25519)).rejects.toThrow(/open to others/);
    const elsewhere = path.join(lab.directory, 'elsewhere');
    keygen('-q', '-t', 'ed25519', '-N', '', '-f', elsewhere);
    await rm(file);
    await symlink(elsewhere, file);
    await expect(lab.keys.init('demo', ed25519)).rejects.toThrow(/is a link/);
    await rm(file);
    execFileSync('mkfifo', ['-m', '600', file]);
    await expect(lab.keys.init('demo', ed25519)).rejects.toThrow(/not a regular file/);
    await rm(file);
    await writeFile(file, 'x'.repeat(64 * 1024), { mode: 0o600 });
    await expect(lab.keys.init('demo', ed25519)).rejects.toThrow(/larger than/);
    await rm(legacy, { recursive: true });
    await symlink(lab.directory, legacy);
    await expect(lab.keys.init('demo', ed25519)).rejects.toThrow(/link/);
    expect(lab.keys.list()).toEqual([]);
  });

  it('that is no key, or of a kind that tasks cannot have, is refused without a word of it', async () => {
    const file = path.join(legacy, 'id_rsa');
    await writeFile(file, '-----BEGIN PRIVATE KEY-----\nTOPSECRET\n-----END PRIVATE KEY-----\n', {
      mode: 0o600,
    });
    const error: unknown = await lab.keys.init('demo', ed25519).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_INPUT' });
    expect(inspect(error, { depth: 9 })).not.toContain('TOPSECRET');
    await rm(file);
    leave('id_rsa', '-t', 'ecdsa');
    await expect(lab.keys.init('demo', ed25519)).rejects.toThrow(/tasks cannot have/);
    await rm(file);
    leave('id_rsa', '-t', 'rsa', '-b', '1024');
    await expect(lab.keys.init('demo', ed25519)).rejects.toThrow(/tasks cannot have: rsa, 1024 bits/);
  });

  it("of another project is nobody else's", async () => {
    leave('id_ed25519', '-t', 'ed25519');
    expect(await lab.keys.init('other', ed25519)).toMatchObject({ origin: 'generated' });
    expect(await lab.keys.init('..', ed25519).catch(() => undefined)).not.toMatchObject({
      origin: 'imported',
    });
  });
});
