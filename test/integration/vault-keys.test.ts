import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { asText, type Command, type CommandRunner } from '../../src/runtime/core/command.ts';
import { HostCommandRunner } from '../../src/runtime/core/exec.ts';
import { Secret } from '../../src/runtime/core/secret.ts';
import type { SealedStore } from '../../src/runtime/vault/store/sealed-store.ts';
import { hostEnvironment, isRoot, runner } from '../support/host.ts';
import { VaultPlace } from '../support/sealed-store.ts';

const claude = { provider: 'claude', set: 'default' };
const credential = { kind: 'api_key', key: 'sk-very-secret-1234' } as const;
const passphrase = new Secret('correct horse battery');

let place: VaultPlace;
beforeEach(async () => {
  place = await VaultPlace.make();
});
afterEach(() => place[Symbol.asyncDispose]());

/** Real programs, and all that other processes could have seen of them: arguments and environment. */
class Watched implements CommandRunner {
  readonly seen: string[] = [];
  readonly told: string[] = [];
  readonly #runner: HostCommandRunner;
  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#runner = new HostCommandRunner({ baseEnv: { ...hostEnvironment(), ...env } });
  }
  async run<T>(command: Command<T>): Promise<T> {
    this.seen.push(JSON.stringify([command.file, command.args, command.env]));
    if (command.input !== undefined) this.told.push(command.input);
    return await this.#runner.run(command);
  }
  stream: CommandRunner['stream'] = (command) => this.#runner.stream(command);
  detach: CommandRunner['detach'] = async (command) => await this.#runner.detach(command);
}

async function outputOf(file: string, ...args: readonly string[]): Promise<string | undefined> {
  return await runner.run({ file, args, parse: asText }).catch(() => undefined);
}

const read = (store: SealedStore): unknown => store.open(claude)?.credential;

/** The key that opens the vault was told to the program on its standard input, and to nobody else. */
async function onlyOnStandardInput(watched: Watched): Promise<void> {
  const keys = watched.told.filter((text) => Buffer.from(text, 'base64').length === 32);
  expect(keys).not.toEqual([]);
  for (const key of keys) {
    expect(watched.seen.join('\n')).not.toContain(key);
    for (const name of await readdir(place.directory)) {
      expect((await readFile(path.join(place.directory, name))).includes(key), name).toBe(false);
    }
  }
}

it('the keyring of the kernel opens the vault for the next daemon, and after a stop of the machine its passphrase does', async () => {
  const watched = new Watched();
  const store = await place.open({ runner: watched });
  store.put(claude, credential);
  if ((await outputOf('keyctl', 'show', '@u')) === undefined) {
    const change = store.changeKey({ source: 'keyring', passphrase });
    await expect(change).rejects.toMatchObject({
      code: expect.stringMatching(/HOST_UNSUPPORTED|COMMAND_FAILED/),
    });
    expect(read(await place.open())).toEqual(credential);
    return;
  }
  await expect(store.changeKey({ source: 'keyring' })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  await store.changeKey({ source: 'keyring', passphrase });
  expect(await readdir(place.directory)).not.toContain('vault.key');
  await onlyOnStandardInput(watched);
  try {
    const next = await place.open({ runner: watched });
    expect(next.status()).toMatchObject({ state: 'unlocked', keySource: 'keyring' });
    expect(read(next)).toEqual(credential);

    await forgetAsTheKernelDoes();
    const afterStop = await place.open({ runner: watched });
    expect(afterStop.status()).toMatchObject({
      state: 'locked',
      lockedBecause: expect.stringContaining('forgets at each stop of the machine'),
    });
    await expect(afterStop.unlock()).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
    await expect(afterStop.unlock(new Secret('wrong passphrase'))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
    await afterStop.unlock(passphrase);
    expect(read(await place.open({ runner: watched }))).toEqual(credential);

    const open = await place.open({ runner: watched });
    const serial = await serialOf();
    open.lock();
    expect((await place.open({ runner: watched })).status().state).toBe('locked');
    expect(await outputOf('keyctl', 'pipe', serial)).toBeUndefined();
    const locked = await place.open({ runner: watched });
    await locked.unlock(passphrase);
    const again = await serialOf();
    expect(await outputOf('keyctl', 'pipe', again)).toBeDefined();
    await locked.changeKey({ source: 'file' });
    expect(await outputOf('keyctl', 'pipe', again)).toBeUndefined();
    expect(read(await place.open())).toEqual(credential);
  } finally {
    await forgetAsTheKernelDoes().catch(() => undefined);
  }
});

it('systemd seals the key for this machine, and another name for it opens nothing', async () => {
  const watched = new Watched();
  const store = await place.open({ runner: watched });
  store.put(claude, credential);
  const version = Number(
    /^systemd (\d+)/.exec((await outputOf('systemd-creds', '--version')) ?? '')?.[1] ?? 0,
  );
  const works = version >= 250 && isRoot;
  if (!works && version < 256) {
    await expect(store.changeKey({ source: 'systemd-creds' })).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      hint: expect.stringMatching(version === 0 ? /package systemd/ : /another place/),
    });
    expect(read(await place.open())).toEqual(credential);
    return;
  }
  await store.changeKey({ source: 'systemd-creds' });
  await onlyOnStandardInput(watched);
  expect(await readdir(place.directory)).not.toContain('vault.key');
  const next = await place.open();
  expect(next.status()).toMatchObject({ state: 'unlocked', keySource: 'systemd-creds' });
  expect(read(next)).toEqual(credential);
  expect(() => next.lock()).toThrow('would open again');
  await place.close();
  withDatabase((database) => database.exec("UPDATE vault_key SET key_id = '0123456789abcdef'"));
  expect((await place.open()).status().state).toBe('locked');
});

it('the keyring of a desktop keeps the key while its person is logged in, and none is asked for elsewhere', async () => {
  const nowhere = new Watched({ DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent', DISPLAY: '' });
  const store = await place.open({ runner: nowhere });
  store.put(claude, credential);
  await expect(store.changeKey({ source: 'desktop' })).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
  expect(store.status().keySource).toBe('file');
  const desktop = await startDesktop();
  if (desktop === undefined) return;
  try {
    const watched = new Watched(desktop.env);
    const there = await place.open({ runner: watched });
    await there.changeKey({ source: 'desktop' });
    await onlyOnStandardInput(watched);
    expect(await readdir(place.directory)).not.toContain('vault.key');
    expect(read(await place.open({ runner: watched }))).toEqual(credential);

    const elsewhere = await place.open({ runner: nowhere });
    expect(elsewhere.status()).toMatchObject({
      state: 'locked',
      lockedBecause: expect.stringContaining('keyring of the desktop cannot be reached'),
    });
    const back = await place.open({ runner: watched });
    await back.changeKey({ source: 'desktop' });
    await back.changeKey({ source: 'file' });
    expect(read(await place.open({ runner: nowhere }))).toEqual(credential);
    expect(desktop.leftovers()).toBe(0);
  } finally {
    await desktop.stop();
  }
});

/** A session bus with an unlocked GNOME keyring; undefined where this host has none. */
async function startDesktop() {
  for (const program of ['dbus-daemon', 'gnome-keyring-daemon', 'secret-tool'])
    if ((await outputOf('which', program)) === undefined) return undefined;
  const home = await mkdtemp('/tmp/desktop-');
  const env = { PATH: hostEnvironment()['PATH'] ?? '', HOME: home, XDG_RUNTIME_DIR: home, DISPLAY: '' };
  const bus = spawn('dbus-daemon', ['--session', '--nofork', '--print-address=1'], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = await once(bus.stdout, 'data');
  const session = { ...env, DBUS_SESSION_BUS_ADDRESS: String(line).trim() };
  const keyring = spawn('gnome-keyring-daemon', ['--foreground', '--unlock', '--components=secrets'], {
    env: session,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  keyring.stdin.end('desktop password');
  await delay(1500);
  return {
    env: session,
    leftovers: () => withDatabase((database) => database.prepare('SELECT * FROM leftover_keys').all().length),
    stop: async () => {
      await Promise.all([end(keyring), end(bus)]);
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await Promise.race([ended, delay(2000)]);
  child.kill('SIGKILL');
}

function withDatabase<T>(use: (database: Database.Database) => T): T {
  const database = new Database(place.file);
  try {
    return use(database);
  } finally {
    database.close();
  }
}

const keyId = (): string =>
  withDatabase(
    (database) =>
      database.prepare<[], { key_id: string }>('SELECT key_id FROM vault_key').get()?.key_id ?? '',
  );

const serialOf = async (): Promise<string> =>
  ((await outputOf('keyctl', 'search', '@u', 'user', `terok-vault-${keyId()}`)) ?? '').trim();

/** What is left of it after a stop of the machine: nothing. */
async function forgetAsTheKernelDoes(): Promise<void> {
  await runner.run({ file: 'keyctl', args: ['unlink', await serialOf(), '@u'], parse: asText });
}
