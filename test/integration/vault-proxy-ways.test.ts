import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../../src/runtime/core/clock.ts';
import { CancelledError } from '../../src/runtime/core/errors.ts';
import { type TestCa, testCa } from '../support/test-ca.ts';
import { ProxyLab, REAL_KEY, type Upstream, upstream } from '../support/vault-proxy-lab.ts';

const bearer = { api_key: { header: 'Authorization', prefix: 'Bearer ' } };

/** Time that passes when a test says so. */
function steppedClock(): { readonly clock: Clock; pass(ms: number): Promise<void> } {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();
  const clock: Clock = {
    now: () => new Date(now),
    sleep: (durationMs, signal) =>
      new Promise((resolve, reject) => {
        const cancelled = (): void => reject(new CancelledError('The wait was cancelled'));
        const wake = (): void => {
          signal?.removeEventListener('abort', cancelled);
          resolve();
        };
        sleepers.add({ until: now + durationMs, wake });
        signal?.addEventListener('abort', cancelled);
      }),
  };
  return {
    clock,
    pass: async (ms) => {
      const end = now + ms;
      while (now < end) {
        now = Math.min(end, now + 60_000);
        for (const sleeper of [...sleepers].filter(({ until }) => until <= now)) {
          sleepers.delete(sleeper);
          sleeper.wake();
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

describe('ways of the credential proxy', () => {
  let ca: TestCa;
  let vendor: Upstream;
  let storage: Upstream;

  beforeAll(async () => {
    ca = await testCa();
  });
  beforeEach(async () => {
    [vendor, storage] = await Promise.all([upstream(ca), upstream(ca)]);
  });
  afterEach(async () => {
    await vendor.close();
    await storage.close();
  });

  const open = (
    lab: ProxyLab,
    token: string,
    protocols: string[] = [],
  ): { readonly socket: WebSocket; readonly opened: Promise<unknown> } => {
    const socket = new WebSocket(`ws+unix://${lab.socketPath}:/codex/v1/responses`, protocols, {
      headers: protocols.length > 0 ? {} : { authorization: `Bearer ${token}` },
    });
    socket.on('error', () => undefined);
    return { socket, opened: once(socket, 'open') };
  };

  it('joins websockets: credential on the upgrade, usage, secrets blotted out, audited (V6, V15)', async () => {
    await using lab = await ProxyLab.open({ ca });
    const route = { prefix: 'codex', upstream: vendor.url, auth: bearer, websocket: true, usage: 'openai' };
    const token = lab.provide('codex', route);
    const server = new WebSocketServer({ server: vendor.server, perMessageDeflate: true });
    const heads: string[] = [];
    server.on('connection', (socket, request) => {
      heads.push(request.rawHeaders.join('\n'));
      socket.on('message', (data) => {
        socket.send(`got ${String(data)}`);
        socket.send(REAL_KEY.slice(0, 9), { fin: false });
        socket.send(`${REAL_KEY.slice(9)}!`, { fin: true });
        socket.send(
          '{"type":"response.completed","response":{"model":"g","usage":{"input_tokens":5,"output_tokens":2}}}',
        );
      });
    });
    const { socket, opened } = open(lab, token);
    const messages: string[] = [];
    socket.on('message', (data) => messages.push(String(data)));
    await opened;
    socket.send('hello'.repeat(20_000));
    await expect.poll(() => messages.length).toBe(3);
    expect(messages[0]).toBe(`got ${'hello'.repeat(20_000)}`);
    expect(messages[1]).toBe(`${'*'.repeat(REAL_KEY.length)}!`);
    expect(heads[0]).toContain(`Bearer ${REAL_KEY}`);
    expect(heads[0]).not.toMatch(/permessage-deflate|terokp/);
    socket.close();
    await once(socket, 'close');
    await expect.poll(() => lab.audit.length).toBe(1);
    expect(lab.audit).toMatchObject([
      {
        channel: 'websocket',
        status: 101,
        outcome: 'secret_redacted',
        inputTokens: 5,
        outputTokens: 2,
        costUsd: 0.25,
      },
    ]);
    expect(lab.audit[0]?.bytesSent).toBeGreaterThan(100_000);

    lab.renew('codex', { kind: 'api_key', key: 'sk-real-of-a-protocol-0123456789' });
    const chosen = open(lab, token, ['realtime', `openai-insecure-api-key.${token}`]);
    await chosen.opened;
    expect(heads[1]).toContain('openai-insecure-api-key.sk-real-of-a-protocol-0123456789');
    expect(heads[1]).not.toContain(token);
    chosen.socket.terminate();
    server.close();
  });

  it('opens no websocket without a token, and ends one when the budget is over (V3, V6)', async () => {
    await using lab = await ProxyLab.open({ ca });
    const route = { prefix: 'codex', upstream: vendor.url, auth: bearer, websocket: true, usage: 'openai' };
    const token = lab.provide('codex', route);
    const server = new WebSocketServer({ server: vendor.server });
    server.on('connection', (socket) => {
      socket.on('message', () => socket.send('{"response":{"usage":{"input_tokens":5,"output_tokens":2}}}'));
    });
    const stranger = open(lab, 'sk-unknown');
    await expect(stranger.opened).rejects.toThrow('401');
    expect(server.clients.size).toBe(0);
    const { socket, opened } = open(lab, token);
    await opened;
    lab.enough = 'This task has spent its budget.';
    socket.send('ask');
    await once(socket, 'close');
    await expect.poll(() => lab.audit.map(({ outcome }) => outcome)).toEqual(['no_token', 'budget']);
    server.close();
  });

  it('closes the one websocket whose frames are malformed', async () => {
    await using lab = await ProxyLab.open({ ca });
    const token = lab.provide('codex', {
      prefix: 'codex',
      upstream: vendor.url,
      auth: bearer,
      websocket: true,
    });
    const server = new WebSocketServer({ noServer: true });
    vendor.server.on('upgrade', (request, socket, head) => {
      server.handleUpgrade(request, socket, head, (peer) => {
        peer.on('message', (data) => {
          if (String(data) === 'bad') socket.write(Buffer.from([0xff, 0xff, 1, 2, 3]));
          else peer.send('fine');
        });
      });
    });
    const good = open(lab, token);
    const bad = open(lab, token);
    await Promise.all([good.opened, bad.opened]);
    bad.socket.send('bad');
    await once(bad.socket, 'close');
    good.socket.send('x');
    expect(String((await once(good.socket, 'message'))[0])).toBe('fine');
    expect(lab.audit).toMatchObject([{ outcome: 'bad_frame' }]);
    good.socket.terminate();
    server.close();
  });

  it('follows redirects to listed hosts at public addresses only, and never signs them (V7)', async () => {
    storage.handle = (_request, response) => response.end('stored');
    const away = `https://storage.example.test:${storage.port}/file?sig=1`;
    const route = { prefix: 'gh', upstream: vendor.url, auth: bearer, redirects: ['storage.example.test'] };
    let location = away;
    vendor.handle = (_request, response) => response.writeHead(302, { Location: location }).end();

    await using guarded = await ProxyLab.open({ ca });
    const token = guarded.provide('gh', route);
    const headers = { authorization: `Bearer ${token}`, cookie: 'session=1' };
    // The name resolves to this machine.
    expect((await guarded.ask({ path: '/gh/download', headers })).status).toBe(502);
    expect(storage.seen).toEqual([]);

    await using lab = await ProxyLab.open({ ca, isPublic: () => true });
    lab.provide('gh', route);
    const answer = await lab.ask({ path: '/gh/download', headers });
    expect([answer.status, answer.body.toString()]).toEqual([200, 'stored']);
    expect(storage.seen[0]?.url).toBe('/file?sig=1');
    expect(storage.seen[0]?.headers.join('\n').toLowerCase()).not.toMatch(
      /authorization|cookie|sk-real|terokp/,
    );
    storage.seen.length = 0;
    for (const bad of [
      `http://storage.example.test:${storage.port}/`,
      `https://elsewhere.example.test:${storage.port}/`,
      `https://127.0.0.1:${storage.port}/`,
      `https://a@storage.example.test:${storage.port}/`,
      `//127.0.0.1:${storage.port}/`,
      `https://storage.example.test.evil.test:${storage.port}/`,
    ]) {
      location = bad;
      expect((await lab.ask({ path: '/gh/download', headers })).status, bad).toBe(502);
    }
    location = away;
    expect((await lab.ask({ path: '/gh/download', method: 'POST', headers })).status).toBe(502);
    expect(storage.seen).toEqual([]);
    storage.handle = (_request, response) => response.writeHead(302, { Location: away }).end();
    expect((await lab.ask({ path: '/gh/download', headers })).status).toBe(502);
    expect(storage.seen).toHaveLength(3);

    location = `${vendor.url}/other?x=1`;
    expect((await lab.ask({ path: '/gh/download', headers })).headers['location']).toBe('/gh/other?x=1');
    location = '/other';
    expect((await lab.ask({ path: '/gh/download', headers })).rawHeaders.join(' ')).toMatch(
      /Location (\/gh)?\/other/,
    );
    expect(lab.audit.map(({ outcome }) => outcome)).toContain('redirect_refused');
  });

  it('believes no certificate but those of its authorities', async () => {
    const stranger = await testCa();
    await using lab = await ProxyLab.open({ ca: stranger });
    const token = lab.provide('gh', { prefix: 'gh', upstream: vendor.url, auth: bearer });
    const answer = await lab.ask({ path: '/x', headers: { authorization: `Bearer ${token}` } });
    expect([answer.status, vendor.seen.length]).toEqual([502, 0]);
  });

  it('goes through the proxy of HTTPS_PROXY, with several headers of one name', async () => {
    const tunnels: string[] = [];
    const corporate = createHttpServer();
    const sockets = new Set<Socket>();
    corporate.on('connect', (request, client: Socket) => {
      tunnels.push(request.url ?? '');
      const remote = connect(vendor.port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(remote).pipe(client);
      });
      for (const socket of [client, remote]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
      }
    });
    await new Promise<void>((resolve) => corporate.listen(0, '127.0.0.1', resolve));
    const { port } = corporate.address() as AddressInfo;
    await using lab = await ProxyLab.open({ ca, env: { HTTPS_PROXY: `http://127.0.0.1:${port}` } });
    const token = lab.provide('gh', { prefix: 'gh', upstream: vendor.url, auth: bearer });
    const answer = await lab.ask({
      path: '/x',
      headers: ['Authorization', `Bearer ${token}`, 'X-A', '1', 'x-a', '2', 'Host', 'a'],
    });
    expect(answer.status).toBe(200);
    expect(tunnels).toEqual([`localhost:${vendor.port}`]);
    expect(vendor.seen[0]?.headers.filter((text) => /^x-a$/i.test(text))).toHaveLength(2);
    for (const socket of sockets) socket.destroy();
    corporate.closeAllConnections();
    corporate.close();
  });

  it('lets a stream be silent for twenty minutes, and ends one that stays so (V5)', async () => {
    const { clock, pass } = steppedClock();
    await using lab = await ProxyLab.open({ ca, clock });
    const token = lab.provide('gh', { prefix: 'gh', upstream: vendor.url, auth: bearer, websocket: true });
    const server = new WebSocketServer({ server: vendor.server });
    let speak: () => void = () => undefined;
    vendor.handle = (_request, response) => {
      response.write('start');
      speak = () => response.write('later');
    };
    const { request } = await import('node:http');
    const outgoing = request({
      socketPath: lab.socketPath,
      path: '/s',
      headers: { authorization: `Bearer ${token}` },
    });
    outgoing.end();
    const [response] = await once(outgoing, 'response');
    const chunks: string[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(String(chunk)));
    const gone = once(response, 'error').catch(() => undefined);
    const { socket, opened } = open(lab, token);
    await opened;
    await expect.poll(() => chunks).toEqual(['start']);
    await pass(20 * 60_000);
    speak();
    await expect.poll(() => chunks).toEqual(['start', 'later']);
    expect(socket.readyState).toBe(WebSocket.OPEN);
    await pass(40 * 60_000);
    await gone;
    await expect.poll(() => lab.audit.map(({ outcome }) => outcome)).toEqual(['silent', 'silent']);
    server.close();
  });
});
