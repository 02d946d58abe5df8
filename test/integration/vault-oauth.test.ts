import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Route } from '../../src/runtime/agents/credential-schemas.ts';
import { systemClock } from '../../src/runtime/core/clock.ts';
import { TaskId } from '../../src/runtime/core/ids.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { ProcessExchange } from '../../src/runtime/vault/oauth/process-exchange.ts';
import { Renewer } from '../../src/runtime/vault/oauth/renewer.ts';
import { CredentialProxy } from '../../src/runtime/vault/proxy/credential-proxy-server.ts';
import { UpstreamClient } from '../../src/runtime/vault/proxy/upstream-client.ts';
import { compileProgram } from '../support/compiled-program.ts';
import { EventRecorder } from '../support/event-recorder.ts';
import { runner } from '../support/host.ts';
import { VaultPlace } from '../support/sealed-store.ts';
import { type TestAuthority, testAuthority } from '../support/test-authority.ts';
import { TokenEndpoint } from '../support/token-endpoint-server.ts';
import { tokenOf, upstream } from '../support/vault-proxy-lab.ts';

const TASKS = 20;
let authority: TestAuthority;
let endpoint: TokenEndpoint;
let directory: string;
let program: string;

beforeAll(async () => {
  const [support, made] = await Promise.all([compileProgram(), testAuthority()]);
  program = path.resolve(support, '../../src/server/main.js');
  authority = made;
  endpoint = await TokenEndpoint.start(authority);
  directory = await mkdtemp('/tmp/tk-oauth-');
});
afterAll(async () => {
  await endpoint[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

describe('twenty tasks on one login', () => {
  it('go through three rotations of a single-use refresh token without a failed request (V8)', async () => {
    await using place = await VaultPlace.make();
    const store = await place.open();
    store.put(
      { provider: 'vendor', set: 'default' },
      {
        kind: 'oauth',
        access_token: endpoint.accessToken,
        refresh_token: endpoint.refreshToken,
        expires_at: null,
        facts: {},
      },
    );
    endpoint.expiresIn = undefined;
    endpoint.delayMs = 200;
    using exchange = new ProcessExchange({
      runner,
      directory: path.join(directory, 'renewals'),
      program: { file: process.execPath, args: [program] },
      env: { NODE_EXTRA_CA_CERTS: authority.file },
      clock: systemClock,
    });
    const recorder = new EventRecorder();
    using renewer = new Renewer({
      store,
      exchange,
      clock: systemClock,
      log: silentLogger,
      events: recorder,
      rules: async () => new Map([['vendor', { token_url: endpoint.url, client_id: 'tests', body: 'form' }]]),
    });
    renewer.start();

    const revoked = new Set<string>();
    const accepts = (token: string): boolean => token === endpoint.accessToken && !revoked.has(token);
    await using vendor = await vendorApi((request) => accepts(bearerOf(request)));
    await using tasksProxies = await proxies(renewer, vendor.url);
    const succeeded = new Array<number>(TASKS).fill(0);
    const failures: number[] = [];
    let isOver = false;
    const task = async (index: number): Promise<void> => {
      while (!isOver) {
        const status = await tasksProxies.ask(index);
        if (status === 200) succeeded[index] = (succeeded[index] ?? 0) + 1;
        else failures.push(status);
        await delay(5 + index);
      }
    };
    const tasks = Array.from({ length: TASKS }, (_, index) => task(index));
    for (let rotation = 1; rotation <= 3; rotation += 1) {
      const before = [...succeeded];
      revoked.add(endpoint.accessToken);
      const deadline = Date.now() + 90_000;
      while (!succeeded.every((count, index) => count > (before[index] ?? 0) + 2)) {
        if (Date.now() > deadline) throw new Error(`rotation ${rotation} never came`);
        await delay(20);
      }
      expect(endpoint.sent).toHaveLength(rotation);
    }
    isOver = true;
    await Promise.all(tasks);

    expect(failures).toEqual([]);
    expect(vendor.refusals()).toBeGreaterThanOrEqual(3);
    expect(endpoint.sent).toEqual([0, 1, 2].map((n) => `refresh-${n}-of-the-tests`));
    expect(endpoint.reused).toEqual([]);
    expect(recorder.events).toEqual([]);
    expect(store.renewals()).toEqual([]);
    expect(await readdir(path.join(directory, 'renewals'))).toEqual([]);
  }, 300_000);

  it('send no refresh token while the disk has no room for what comes in its place', async () => {
    const renewals = path.join(directory, 'renewals');
    using exchange = new ProcessExchange({
      runner,
      directory: renewals,
      program: { file: 'prlimit', args: ['--fsize=4096', process.execPath, program] },
      env: { NODE_EXTRA_CA_CERTS: authority.file },
      clock: systemClock,
    });
    const id = 'e'.repeat(32);
    const renewal = { id, provider: 'vendor', set: 'default', version: 1, startedAt: '' };
    const credential = {
      kind: 'oauth' as const,
      access_token: 'a',
      refresh_token: 'single-use',
      expires_at: null,
      facts: {},
    };
    const rule = { token_url: endpoint.url, client_id: 'tests', body: 'json' as const };
    expect(await exchange.exchange(renewal, credential, rule)).toMatchObject({ kind: 'unreachable' });
    expect(endpoint.sent).not.toContain('single-use');
    await exchange.discard(renewal);
    expect(await readdir(renewals)).toEqual([]);
  });

  it('of which a proxy is told by its environment, and a certificate nobody trusts ends it', async () => {
    const renewal = { id: 'a'.repeat(32), provider: 'vendor', set: 'default', version: 1, startedAt: '' };
    const credential = {
      kind: 'oauth' as const,
      access_token: 'a',
      refresh_token: 'r',
      expires_at: null,
      facts: {},
    };
    const rule = { token_url: endpoint.url, client_id: 'tests', body: 'json' as const };
    const outcomeWith = async (env: Readonly<Record<string, string>>, id: string) => {
      using exchange = new ProcessExchange({
        runner,
        directory: path.join(directory, 'renewals'),
        program: { file: process.execPath, args: [program] },
        env,
        clock: systemClock,
      });
      const outcome = await exchange.exchange({ ...renewal, id }, credential, rule);
      await exchange.discard({ id });
      return outcome;
    };
    const before = endpoint.sent.length;
    expect(await outcomeWith({}, 'b'.repeat(32))).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringMatching(/CERT|VERIFY|SIGNATURE|SELF_SIGNED/),
    });
    // Nobody listens there, so whoever goes through it does not arrive.
    const proxied = { NODE_EXTRA_CA_CERTS: authority.file, HTTPS_PROXY: 'http://127.0.0.1:9' };
    expect(await outcomeWith(proxied, 'c'.repeat(32))).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining('ECONNREFUSED'),
    });
    expect(endpoint.sent).toHaveLength(before);
    expect(await outcomeWith({ ...proxied, NO_PROXY: 'localhost' }, 'd'.repeat(32))).toMatchObject({
      kind: 'refused',
    });
    expect(endpoint.sent).toHaveLength(before + 1);
  });
});

const bearerOf = ({ headers }: IncomingMessage): string =>
  (headers.authorization ?? '').replace('Bearer ', '');

/** The vendor's API over TLS, which says 401 to what it does not accept. */
async function vendorApi(accepts: (request: IncomingMessage) => boolean) {
  const server = await upstream(authority);
  let refused = 0;
  server.handle = (incoming, response) => {
    incoming.resume();
    response.statusCode = accepts(incoming) ? 200 : 401;
    if (response.statusCode === 401) refused += 1;
    response.end('{}');
  };
  return {
    url: server.url,
    refusals: () => refused,
    [Symbol.asyncDispose]: async () => await server.close(),
  };
}

/** The credential proxies of all tasks, each on a socket of its own with a token of its own. */
async function proxies(live: Renewer, vendorUrl: string) {
  const upstreams = new UpstreamClient({ env: {}, extraCa: [authority.ca] });
  const route = Route.parse({
    prefix: 'vendor',
    upstream: vendorUrl,
    auth: { oauth: { header: 'Authorization', prefix: 'Bearer ' } },
    refresh: { token_url: endpoint.url, client_id: 'tests' },
  });
  const proxy = new CredentialProxy({
    tokens: {
      grant: () => undefined,
      check: (task, token) =>
        token === tokenOf(task) ? { kind: 'valid', provider: 'vendor', set: 'default' } : { kind: 'foreign' },
      revoke: () => 0,
      onRevoked: () => () => undefined,
    },
    budgets: {
      admit: () => undefined,
      spend: () => undefined,
      used: () => {
        throw new Error('not asked for');
      },
    },
    live,
    audit: { append: () => undefined },
    events: new EventRecorder(),
    clock: systemClock,
    log: silentLogger,
    routes: async () => new Map([['vendor', route]]),
    upstreams,
    onLocked: () => undefined,
  });
  const taskOf = (index: number) => TaskId.parse(`k${String(index).padStart(4, '0')}`);
  const socketOf = (index: number): string => path.join(directory, `${index}.sock`);
  const served = await Promise.all(
    Array.from({ length: TASKS }, (_, index) =>
      proxy.serve({ task: taskOf(index), project: { id: 'demo' }, socketPath: socketOf(index) }),
    ),
  );
  return {
    ask: async (index: number): Promise<number> =>
      await new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${tokenOf(taskOf(index))}` };
        request(
          { socketPath: socketOf(index), path: '/vendor/v1/messages', method: 'POST', headers },
          (answer) => {
            answer.resume();
            answer.once('end', () => resolve(answer.statusCode ?? 0));
          },
        )
          .once('error', reject)
          .end('{"a":1}');
      }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(served.map((one) => one.close()));
      await upstreams[Symbol.asyncDispose]();
    },
  };
}
