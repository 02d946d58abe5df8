import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { compileProgram } from '../support/compiled-program.ts';
import { VaultPlace } from '../support/sealed-store.ts';
import { type TestAuthority, testAuthority } from '../support/test-authority.ts';
import { TokenEndpoint } from '../support/token-endpoint-server.ts';

let authority: TestAuthority;
let endpoint: TokenEndpoint;
let support: string;
let directory: string;
let place: VaultPlace;

beforeAll(async () => {
  [support, authority] = await Promise.all([compileProgram(), testAuthority()]);
});
afterAll(() => authority[Symbol.asyncDispose]());

const expired = (): number => Math.floor(Date.now() / 1000) - 60;

beforeEach(async () => {
  place = await VaultPlace.make();
  ({ directory } = place);
  endpoint = await TokenEndpoint.start(authority);
  (await place.open()).put(
    { provider: 'vendor', set: 'default' },
    {
      kind: 'oauth',
      access_token: endpoint.accessToken,
      refresh_token: endpoint.refreshToken,
      expires_at: expired(),
      facts: {},
    },
  );
  await place.close();
  return async () => {
    await endpoint[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  };
});

function daemon(dieAt = ''): ChildProcess {
  const program = path.join(support, 'renewing-daemon.js');
  return spawn(process.execPath, [program, directory, endpoint.url, authority.file, dieAt], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function said(child: ChildProcess): Promise<readonly string[]> {
  const { stdout } = child;
  return stdout === null ? [] : (await text(stdout)).split('\n').filter((line) => line !== '');
}

/** The token that counts is given out, nothing is left over, and no refresh token was ever sent twice. */
async function expectNoLockout(): Promise<void> {
  expect(await said(daemon())).toEqual([endpoint.accessToken]);
  const store = await place.open();
  expect(store.renewals()).toEqual([]);
  expect(await readdir(path.join(directory, 'renewals'))).toEqual([]);
  // The next one works with what is stored, so that was no token that had been used.
  const [info] = store.list();
  const opened = info === undefined ? undefined : store.open(info);
  if (info === undefined || opened?.credential.kind !== 'oauth') throw new Error('nothing is stored');
  store.replace({ ...info, version: opened.version }, { ...opened.credential, expires_at: expired() });
  await place.close();
  expect(await said(daemon())).toEqual([endpoint.accessToken]);
  expect(endpoint.reused).toEqual([]);
  expect(new Set(endpoint.sent).size).toBe(endpoint.sent.length);
}

describe('a renewal whose daemon is killed with SIGKILL (V8)', () => {
  it.each(['begun', 'started', 'answered', 'stored', 'discarded', 'ended'])(
    'locks nobody out: %s',
    async (step) => {
      const victim = daemon(step);
      const [, signal] = await once(victim, 'exit');
      expect(signal).toBe('SIGKILL');
      await expectNoLockout();
    },
  );

  it('locks nobody out while the endpoint takes its time, and the next daemon waits for that very answer', async () => {
    endpoint.delayMs = 1500;
    const victim = daemon();
    while (endpoint.sent.length === 0) await delay(10);
    victim.kill('SIGKILL');
    await once(victim, 'exit');
    const next = said(daemon());
    expect(await next).toEqual([endpoint.accessToken]);
    expect(endpoint.sent).toHaveLength(1);
    await expectNoLockout();
  });

  it('leaves nothing on the disk meanwhile that opens without the vault', async () => {
    const victim = daemon('answered');
    await once(victim, 'exit');
    const files = await readdir(path.join(directory, 'renewals'));
    expect(files.filter((name) => name.endsWith('.sealed'))).toHaveLength(1);
    for (const name of files) {
      const content = await readFile(path.join(directory, 'renewals', name), 'latin1');
      expect(content).not.toContain('of-the-tests');
    }
    await expectNoLockout();
  });
});
