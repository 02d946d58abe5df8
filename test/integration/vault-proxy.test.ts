import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CommandError, HostError } from '../../src/runtime/core/errors.ts';
import { type TestCa, testCa } from '../support/test-ca.ts';
import { ProxyLab, REAL_KEY, TASK, tokenOf, type Upstream, upstream } from '../support/vault-proxy-lab.ts';

describe('the credential proxy of one task', () => {
  let ca: TestCa;
  let vendor: Upstream;
  let lab: ProxyLab;
  let token: string;

  beforeAll(async () => {
    ca = await testCa();
  });
  beforeEach(async () => {
    vendor = await upstream(ca);
    lab = await ProxyLab.open({ ca });
    token = lab.provide('claude', {
      prefix: 'claude',
      upstream: vendor.url,
      auth: { api_key: { header: 'x-api-key', extra: { 'anthropic-beta': 'ours' } } },
      usage: 'anthropic',
    });
  });
  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await vendor.close();
  });

  const ask = (
    path: string,
    more: Parameters<ProxyLab['ask']>[0] | object = {},
  ): ReturnType<ProxyLab['ask']> => lab.ask({ path, headers: { 'x-api-key': token }, ...more });

  it('puts the real credential in, and the phantom goes no further (V1)', async () => {
    const answer = await lab.ask({
      path: '/claude/v1/messages?beta=true',
      method: 'POST',
      headers: {
        'x-api-key': token,
        Authorization: `Bearer ${token}`,
        'anthropic-beta': 'theirs',
        Connection: 'keep-alive, x-private',
        'x-private': 'of this connection',
      },
      body: '{}',
    });
    expect(answer.status).toBe(200);
    const seen = vendor.seen[0];
    expect(seen?.url).toBe('/v1/messages?beta=true');
    const headers = seen?.headers.join('\n') ?? '';
    expect(headers).toContain(`x-api-key\n${REAL_KEY}`);
    expect(headers).toContain('anthropic-beta\ntheirs,ours');
    expect(headers.toLowerCase()).toContain(`host\nlocalhost:${vendor.port}`);
    for (const absent of [token, 'x-private', 'authorization', 'x-forwarded', 'via']) {
      expect(headers.toLowerCase()).not.toContain(absent);
    }
  });

  it('writes one audit record a request, refused ones too, with no query (V9)', async () => {
    vendor.handle = (_request, response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end('{"model":"m-1","usage":{"input_tokens":7,"output_tokens":3}}');
    };
    await ask('/claude/v1/messages?secret=1', { method: 'POST', body: '{"a":1}' });
    await lab.ask({ path: '/claude/v1/messages' });
    expect(lab.audit).toMatchObject([
      {
        task: 'k3f9a',
        project: 'alpha',
        channel: 'http',
        provider: 'claude',
        method: 'POST',
        target: '/claude/v1/messages',
        status: 200,
        outcome: 'ok',
        bytesSent: 7,
        model: 'm-1',
        inputTokens: 7,
        outputTokens: 3,
        costUsd: 0.25,
      },
      { status: 401, outcome: 'no_token', method: 'GET' },
    ]);
    expect(lab.spent).toHaveLength(1);
    expect(JSON.stringify(lab.audit)).not.toMatch(/secret|terokp|sk-real/);
  });

  it('asks no upstream without a token of its own task (V3, V4)', async () => {
    lab.tokens.set(tokenOf('other'), { kind: 'foreign' });
    lab.tokens.set(tokenOf('old'), { kind: 'expired' });
    const statuses = [
      await lab.ask({ path: '/v1' }),
      await lab.ask({ path: '/v1', headers: { authorization: `Bearer ${tokenOf('nobody')}` } }),
      await lab.ask({ path: '/v1', headers: { authorization: `token ${tokenOf('old')}` } }),
      await lab.ask({ path: '/v1', headers: { 'private-token': tokenOf('other') } }),
      await lab.ask({ path: `/v1?key=${token}` }),
      await ask(`/v1?key=${token}`),
    ].map(({ status }) => status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 401]);
    expect(vendor.seen).toEqual([]);
    expect(lab.events.map(({ kind }) => kind)).toEqual(['credential.misused']);
    const answer = await lab.ask({ path: '/v1' });
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      type: 'error',
      error: { type: 'authentication_error' },
    });
    for (const headers of [
      { authorization: `Bearer ${token}` },
      { authorization: `token ${token}` },
      { authorization: `Basic ${Buffer.from(`x:${token}`).toString('base64')}` },
      { 'private-token': token },
      { 'x-goog-api-key': token },
    ]) {
      expect((await lab.ask({ path: '/v1', headers })).status).toBe(200);
    }
  });

  it('asks no upstream beyond rules, budget or credential', async () => {
    lab.provide(
      'gh',
      {
        prefix: 'gh',
        upstream: vendor.url,
        auth: { pat: { header: 'Authorization', prefix: 'token ' } },
        rules: [{ methods: ['GET'], path: '/repos/**' }],
        graphql: '/graphql',
      },
      { kind: 'pat', token: REAL_KEY, host: null },
    );
    const gh = { authorization: `Bearer ${tokenOf('gh')}` };
    const graphql = (query: string): ReturnType<ProxyLab['ask']> =>
      lab.ask({
        path: '/graphql',
        method: 'POST',
        headers: { ...gh, 'content-type': 'application/json' },
        body: JSON.stringify({ query }),
      });
    expect((await lab.ask({ path: '/repos/a/b', method: 'DELETE', headers: gh })).status).toBe(403);
    expect((await lab.ask({ path: '/user', headers: gh })).status).toBe(403);
    expect((await graphql('query { a } mutation M { deleteAll }')).status).toBe(403);
    expect((await graphql('subscription S { a }')).status).toBe(403);
    expect(vendor.seen).toEqual([]);
    expect((await lab.ask({ path: '/gh/repos/a/b', headers: gh })).status).toBe(200);
    expect((await graphql('query Q($a: String = "mutation {") { a(b: $a) { c } } # mutation')).status).toBe(
      200,
    );
    vendor.seen.length = 0;

    lab.enough = 'This task has spent its budget.';
    const spent = await ask('/v1');
    expect([spent.status, spent.body.toString()]).toEqual([403, expect.stringContaining('spent its budget')]);
    lab.enough = undefined;
    lab.credentials.delete('claude');
    expect((await ask('/v1')).status).toBe(502);
    lab.liveError = new CommandError('Its vendor refuses to renew it', { hint: 'Log in again.' });
    expect((await ask('/v1')).body.toString()).toContain('Log in again.');
    expect(vendor.seen).toEqual([]);
  });

  it('says that the vault is locked, and tells who can open it (V13)', async () => {
    lab.liveError = new HostError('The vault is locked', { hint: 'Run "terok-mcp vault unlock".' });
    const answers = [await ask('/v1'), await ask('/v1')];
    expect(answers.map(({ status }) => status)).toEqual([503, 503]);
    expect(answers[0]?.body.toString()).toContain('locked');
    expect(lab.lockedCalls).toBe(1);
    expect(vendor.seen).toEqual([]);
  });

  it('passes bytes as they are: paths, headers, compressed bodies, uploads, trailers (V5)', async () => {
    lab.provide('gl', {
      prefix: 'gl',
      upstream: vendor.url,
      auth: { api_key: { header: 'PRIVATE-TOKEN' } },
      encoded_slashes: true,
    });
    const headers = { 'private-token': tokenOf('gl'), 'accept-encoding': 'gzip, br, zstd' };
    const text = randomBytes(200_000).toString('hex');
    for (const [name, packed] of [
      ['gzip', gzipSync(text)],
      ['br', brotliCompressSync(text.slice(0, 50_000))],
    ] as const) {
      vendor.handle = (_request, response) => {
        response.setHeader('Content-Encoding', name);
        response.setHeader('Set-Cookie', ['a=1', 'b=2']);
        response.end(packed);
      };
      const answer = await lab.ask({ path: '/gl/api/v4/projects/a%2Fb%3D/x%20y?q=%2F..%2F&a=//', headers });
      expect(answer.body.equals(packed)).toBe(true);
      expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    }
    expect(vendor.seen[0]?.url).toBe('/api/v4/projects/a%2Fb%3D/x%20y?q=%2F..%2F&a=//');
    expect(vendor.seen[0]?.headers.join('\n')).toContain('gzip, br');
    expect(vendor.seen[0]?.headers.join('\n')).not.toContain('zstd');

    const upload = randomBytes(20 * 1024 * 1024);
    vendor.handle = (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.writeHead(201, { Trailer: 'x-sum', Location: '/made' });
        response.write(String(Buffer.concat(chunks).equals(upload)));
        response.addTrailers({ 'x-sum': 'right' });
        response.end();
      });
    };
    const answer = await ask('/up', { method: 'PUT', body: upload });
    expect([
      answer.status,
      answer.body.toString(),
      answer.trailers['x-sum'],
      answer.headers['location'],
    ]).toEqual([201, 'true', 'right', '/made']);
    vendor.handle = (request, response) => response.end(request.method);
    for (const method of ['PROPFIND', 'PATCH', 'OPTIONS', 'DELETE', 'M-SEARCH']) {
      expect((await ask('/m', { method })).body.toString()).toBe(method);
    }
    expect((await ask('/m', { method: 'HEAD' })).status).toBe(200);
  });

  it('passes each event of a stream on when it comes (V5)', async () => {
    const { request } = await import('node:http');
    let next: () => void = () => undefined;
    vendor.handle = (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.flushHeaders();
      let count = 0;
      next = () => response.write(`data: ${count++}\n\n`);
    };
    const outgoing = request({ socketPath: lab.socketPath, path: '/s', headers: { 'x-api-key': token } });
    outgoing.end();
    const [response] = await once(outgoing, 'response');
    for (const event of ['0', '1', '2']) {
      next();
      const [chunk] = await once(response, 'data');
      expect(String(chunk)).toBe(`data: ${event}\n\n`);
    }
    outgoing.destroy();
    // The upstream hears that nobody listens any more.
    await expect.poll(() => lab.audit).toMatchObject([{ outcome: 'client_gone' }]);
  });

  it('keeps the pace of a slow reader', async () => {
    const { request } = await import('node:http');
    const total = 64 * 1024 * 1024;
    let sent = 0;
    vendor.handle = (_request, response) => {
      const block = Buffer.alloc(64 * 1024, 'x');
      const go = (): void => {
        while (sent < total) {
          sent += block.length;
          if (!response.write(block)) {
            response.once('drain', go);
            return;
          }
        }
        response.end();
      };
      go();
    };
    const outgoing = request({ socketPath: lab.socketPath, path: '/s', headers: { 'x-api-key': token } });
    outgoing.end();
    const [response] = await once(outgoing, 'response');
    response.pause();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(sent).toBeLessThan(total / 2);
    let received = 0;
    response.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    response.resume();
    await once(response, 'end');
    expect(received).toBe(total);
  });

  it('asks for the body itself, and only of a request that goes on', async () => {
    const { request } = await import('node:http');
    const expecting = async (headers: Record<string, string>): Promise<[boolean, number]> => {
      const outgoing = request({
        socketPath: lab.socketPath,
        path: '/e',
        method: 'POST',
        headers: { ...headers, Expect: '100-continue', 'Content-Length': '5' },
      });
      let wasTold = false;
      outgoing.once('continue', () => {
        wasTold = true;
        outgoing.end('hello');
      });
      outgoing.on('error', () => undefined);
      outgoing.flushHeaders();
      const [response] = await once(outgoing, 'response');
      response.resume();
      return [wasTold, response.statusCode];
    };
    vendor.handle = (incoming, response) => incoming.resume().on('end', () => response.end());
    expect(await expecting({ 'x-api-key': token })).toEqual([true, 200]);
    expect(await expecting({})).toEqual([false, 401]);
    expect(vendor.seen).toHaveLength(1);
    expect(vendor.seen[0]?.headers.join('\n').toLowerCase()).not.toContain('expect');
  });

  it('repeats what an old credential was refused for, once, with its whole body', async () => {
    const bodies: string[] = [];
    vendor.handle = (incoming, response) => {
      let body = '';
      incoming.on('data', (chunk) => {
        body += String(chunk);
      });
      incoming.on('end', () => {
        bodies.push(body);
        response.statusCode = incoming.headers['x-api-key'] === 'sk-new-0123456789' ? 200 : 401;
        response.end(`as ${incoming.headers['x-api-key'] ?? ''}`);
      });
    };
    lab.onRefused = async () => {
      if (lab.current('claude')?.info.version === 1) {
        lab.renew('claude', { kind: 'api_key', key: 'sk-new-0123456789' });
      }
      return lab.current('claude');
    };
    const body = randomBytes(30_000).toString('hex');
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('/v1', { method: 'POST', body })));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(bodies.every((own) => own === body)).toBe(true);
    expect(answers[0]?.body.toString()).toBe(`as ${'*'.repeat(17)}`);

    lab.credentials.set('claude', { kind: 'api_key', key: REAL_KEY });
    expect((await ask('/v1', { method: 'POST', body: Buffer.alloc(3_000_000, 'x') })).status).toBe(401);
  });

  it('gives no secret back: headers, status, bodies in pieces, trailers, encodings (V15)', async () => {
    const echo = [
      REAL_KEY,
      encodeURIComponent(REAL_KEY),
      JSON.stringify({ key: REAL_KEY }),
      REAL_KEY.replaceAll('/', '\\/'),
      Buffer.from(REAL_KEY).toString('base64'),
      Buffer.from(`a${REAL_KEY}`).toString('base64'),
      Buffer.from(`ab${REAL_KEY}b`).toString('base64url'),
    ].join(' ');
    vendor.handle = (_request, response) => {
      response.writeHead(400, `no ${REAL_KEY}`, { 'x-echo': `Bearer ${REAL_KEY}`, Trailer: 'x-end' });
      const bytes = Buffer.from(echo);
      let at = 0;
      const step = (): void => {
        if (at >= bytes.length) {
          response.addTrailers({ 'x-end': REAL_KEY });
          response.end();
          return;
        }
        response.write(bytes.subarray(at, at + 7));
        at += 7;
        setImmediate(step);
      };
      step();
    };
    const answer = await ask('/v1');
    const whole = `${answer.statusText}${JSON.stringify(answer.headers)}${JSON.stringify(answer.trailers)}${answer.body.toString()}`;
    for (const part of [REAL_KEY, 'abcdefghij', Buffer.from(REAL_KEY).toString('base64').slice(4, 20)]) {
      expect(whole).not.toContain(part);
    }
    expect(answer.body.length).toBe(echo.length);
    expect(lab.audit).toMatchObject([{ outcome: 'secret_redacted', status: 400 }]);
    expect(lab.events).toMatchObject([{ kind: 'credential.echoed' }]);
  });

  it.each(['gzip', 'br'] as const)(
    'breaks off a %s answer before a secret in it is whole (V15)',
    async (name) => {
      const pack = name === 'gzip' ? gzipSync : brotliCompressSync;
      vendor.handle = (_request, response) => {
        response.setHeader('Content-Encoding', name);
        response.end(pack(`${'harmless '.repeat(50)}${REAL_KEY}`));
      };
      await expect(
        ask('/v1', { headers: { 'x-api-key': token, 'accept-encoding': name } }),
      ).rejects.toThrow();
      expect(lab.audit).toMatchObject([{ outcome: 'secret_echoed' }]);
      vendor.handle = (_request, response) => {
        response.setHeader('Content-Encoding', 'zstd');
        response.end('x');
      };
      expect((await ask('/v1')).status).toBe(502);
    },
  );

  it('cuts what is open when the tokens end, and at the close', async () => {
    const { request } = await import('node:http');
    vendor.handle = (_request, response) => {
      response.write('first');
    };
    const streaming = async (): Promise<{ readonly end: Promise<unknown> }> => {
      const outgoing = request({ socketPath: lab.socketPath, path: '/s', headers: { 'x-api-key': token } });
      outgoing.end();
      const [response] = await once(outgoing, 'response');
      response.resume();
      return {
        end: once(response, 'error').then(
          () => 'cut',
          () => 'cut',
        ),
      };
    };
    const first = await streaming();
    for (const listener of lab.revoked) listener(TASK);
    expect(await first.end).toBe('cut');
    const second = await streaming();
    await lab.close();
    expect(await second.end).toBe('cut');
    expect(lab.audit.map(({ outcome }) => outcome)).toEqual(['revoked', 'closed']);
  });

  it('closes the one connection whose request is malformed', async () => {
    for (const bytes of [
      'GARBAGE\r\n\r\n',
      'GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      `GET /v1 HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(64 * 1024)}\r\n\r\n`,
      `POST /v1 HTTP/1.1\r\nHost: a\r\nx-api-key: ${token}\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n`,
      'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n',
    ]) {
      const socket = lab.raw();
      socket.on('error', () => undefined).resume();
      socket.end(bytes);
      await once(socket, 'close');
      expect((await ask('/v1')).status).toBe(200);
    }
  });
});
