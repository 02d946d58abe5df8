import { once } from 'node:events';
import { request } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { HostError } from '../../src/runtime/core/errors.ts';
import { type TestCa, testCa } from '../support/test-ca.ts';
import { ProxyLab, REAL_KEY, tokenOf, type Upstream, upstream } from '../support/vault-proxy-lab.ts';

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
    auth: { api_key: { header: 'x-api-key' } },
    usage: 'anthropic',
    websocket: true,
  });
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
  await vendor.close();
});

/** What one connection is answered to these bytes, until its other side ends it. */
async function talk(bytes: string): Promise<string> {
  const socket = lab.raw();
  const chunks: Buffer[] = [];
  socket.on('error', () => undefined).on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(Buffer.from(bytes, 'latin1'));
  await once(socket, 'end', { signal: AbortSignal.timeout(3_000) }).catch(() => undefined);
  socket.destroy();
  return Buffer.concat(chunks).toString('latin1');
}

const head = (line: string, ...more: readonly string[]): string =>
  [line, 'Host: localhost', `x-api-key: ${token}`, ...more, '', ''].join('\r\n');

const told = (): string => vendor.seen.map(({ headers, url }) => [url, ...headers].join('\n')).join('\n\n');

describe('a request that wants to be two, or another', () => {
  it('is read as one by both sides, or not at all', async () => {
    const hidden = `GET /hidden HTTP/1.1\r\nHost: a\r\nx-api-key: ${token}\r\n\r\n`;
    for (const bytes of [
      `${head('POST /v1/a HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n${hidden}`,
      head('POST /v1/a HTTP/1.1', 'Content-Length: 0', 'Content-Length: 60') + hidden,
      `${head('POST /v1/a HTTP/1.1', 'Transfer-Encoding: chunked, identity')}0\r\n\r\n`,
      `${head('POST /v1/a HTTP/1.1', 'Transfer-Encoding : chunked')}0\r\n\r\n${hidden}`,
      `${head('POST /v1/a HTTP/1.1', 'Content-Length: +5')}hello`,
      head('GET /v1/a HTTP/1.1', 'Upgrade: websocket', 'Connection: upgrade', 'Content-Length: 60') + hidden,
      head('GET /v1/a HTTP/1.1', 'Upgrade: h2c', 'Connection: upgrade') + hidden,
      head('CONNECT localhost:443 HTTP/1.1') + hidden,
      head('OPTIONS * HTTP/1.1', 'Connection: close'),
      head('GET https://elsewhere.example/v1/a HTTP/1.1', 'Connection: close'),
      head('GET //elsewhere.example/v1/a HTTP/1.1', 'Connection: close'),
    ]) {
      const before = lab.audit.length;
      const answer = await talk(bytes);
      expect(answer, bytes).toMatch(/^HTTP\/1\.1 (?:400|501)/);
      expect(lab.audit.length - before, bytes).toBe(1);
    }
    expect(vendor.seen).toEqual([]);
  });

  it('leaves extensions, trailers and everything of its connection behind', async () => {
    const bodies: string[] = [];
    vendor.handle = (incoming, response) => {
      let body = '';
      incoming.on('data', (chunk) => {
        body += String(chunk);
      });
      incoming.on('end', () => {
        bodies.push(body + JSON.stringify(incoming.trailers));
        response.end('{}');
      });
    };
    const answer = await talk(
      `${head(
        'POST /v1/a HTTP/1.1',
        'Host: elsewhere.example',
        'Connection: close, x-api-key, authorization, X-Hop, host',
        `Authorization: Bearer ${token}`,
        `X_API_KEY: ${token}`,
        `Proxy-Authorization: Bearer ${token}`,
        `Api-Key: ${token}`,
        'x-hop: 1',
        'Transfer_Encoding: identity',
        'Trailer: authorization',
        'Transfer-Encoding: chunked',
      )}5;a="b"\r\nhello\r\n0\r\nAuthorization: Bearer attacker\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
    expect(bodies).toEqual(['hello{}']);
    expect(told()).toContain(`x-api-key\n${REAL_KEY}`);
    expect(told()).toMatch(new RegExp(`host\nlocalhost:${vendor.port}`, 'i'));
    expect(told().toLowerCase()).not.toMatch(/terokp|x_api|transfer_|hop|attacker|elsewhere|proxy-|trailer/);
  });

  it('has no line breaks to put into a header', async () => {
    const answer = await talk(head('GET /v1/a HTTP/1.1', 'X-A: one\r\n two', 'Connection: close'));
    expect(answer).toMatch(/^HTTP\/1\.1 (?:200|400)/);
    expect(told()).not.toMatch(/one[\r\n]+ two/);
  });

  it('is answered in its turn when more of them come at once, and each is recorded', async () => {
    vendor.handle = (incoming, response) => {
      setTimeout(() => response.end(incoming.url), incoming.url === '/v1/1' ? 60 : 1);
    };
    const answer = await talk(
      head('GET /v1/1 HTTP/1.1') +
        head('GET /v1/2 HTTP/1.1').replace(token, 'nobody') +
        head('GET /v1/3 HTTP/1.1', 'Connection: close'),
    );
    expect(answer.match(/HTTP\/1\.1 \d+|\/v1\/\d/g)).toEqual([
      'HTTP/1.1 200',
      '/v1/1',
      'HTTP/1.1 401',
      'HTTP/1.1 200',
      '/v1/3',
    ]);
    await expect.poll(() => lab.audit.length).toBe(3);
  });

  it('behind an answer that never ends is given up with its connection', async () => {
    vendor.handle = (incoming, response) => {
      if (incoming.url === '/v1/2') response.end('done');
    };
    const socket = lab.raw();
    socket.on('error', () => undefined);
    socket.write(head('GET /v1/1 HTTP/1.1') + head('GET /v1/2 HTTP/1.1'));
    await expect.poll(() => vendor.seen.length).toBe(2);
    socket.destroy();
    await expect.poll(() => lab.audit.map(({ outcome }) => outcome)).toEqual(['client_gone', 'client_gone']);
    await lab.close();
  });

  it('of thousands on one connection opens no more than some hundred upstream', async () => {
    let open = 0;
    vendor.handle = () => {
      open += 1;
    };
    const socket = lab.raw();
    socket.on('error', () => undefined).resume();
    socket.write(head('GET /v1/a HTTP/1.1').repeat(1500));
    await expect
      .poll(() => lab.audit.some(({ outcome }) => outcome === 'too_many'), { timeout: 10_000 })
      .toBe(true);
    expect(open).toBeLessThanOrEqual(512);
    socket.destroy();
    await expect.poll(() => lab.audit.length, { timeout: 10_000 }).toBeGreaterThan(512);
  });
});

describe('rules of a route', () => {
  beforeEach(() => {
    lab.provide('gl', {
      prefix: 'gl',
      upstream: vendor.url,
      auth: { api_key: { header: 'PRIVATE-TOKEN' } },
      rules: [
        { methods: ['GET', 'HEAD'], path: '/api/v4/**' },
        { methods: ['POST'], path: '/notes' },
      ],
      graphql: '/api/graphql',
    });
  });
  const ask = async (method: string, path: string, more: Record<string, string> = {}, body = '') =>
    (
      await lab.ask({
        method,
        path,
        headers: { 'private-token': tokenOf('gl'), 'content-type': 'application/json', ...more },
        ...(body === '' ? {} : { body }),
      })
    ).status;

  it('hold for what a request is made into by a lenient server, too', async () => {
    const query = '{"query":"{ a }"}';
    const statuses = [
      await ask('POST', '/notes', { 'X-HTTP-Method-Override': 'DELETE' }),
      await ask('GET', '/api/v4/x', { X_HTTP_METHOD_OVERRIDE: 'PUT' }),
      await ask('GET', '/api/v4/x', { 'X-Original-URL': '/admin' }),
      await ask('GET', '/api/v4/x', { 'x-rewrite-url': '/admin' }),
      await ask('POST', '/notes?_method=delete'),
      await ask('POST', '/notes?a=b&$httpMethod=DELETE'),
      await ask('POST', '/api/graphql?query=mutation%7Ba%7D', {}, query),
      await ask('POST', '/api/graphql?_json[][query]=mutation%7Ba%7D', {}, query),
      await ask('GET', '/api/graphql?query=mutation%7Ba%7D'),
      await ask('POST', '/api/graphql', { 'content-encoding': 'gzip' }, query),
      await ask('POST', '/api/graphql', { 'content-type': 'application/graphql' }, 'mutation { a }'),
      await ask('POST', '/api/graphql', { 'content-type': 'multipart/form-data; boundary=a' }, '--a--'),
      await ask('POST', '/api/graphql', {}, '[{"query":"{a}"},{"query":"mutation {a}"}]'),
      await ask('POST', '/api/v4/x'),
      await ask('POST', '/NOTES'),
      await ask('POST', '/notes/'),
      await ask('POST', '/%6eotes'),
      await ask('POST', '/glx/notes'),
    ];
    expect(statuses).toEqual(statuses.map(() => 403));
    expect([await ask('GET', '/api/v4/%2e%2e/x'), await ask('POST', '/gl/../notes')]).toEqual([400, 400]);
    expect(vendor.seen).toEqual([]);
    expect([await ask('POST', '/api/graphql', {}, query), await ask('GET', '/gl/api/v4/x')]).toEqual([
      200, 200,
    ]);
  });

  it('that name a kind of credential send no other to that address', async () => {
    lab.provide('kinds', {
      prefix: 'kinds',
      upstream: vendor.url,
      auth: { api_key: { header: 'x-own' }, oauth: { header: 'x-own' } },
      rules: [{ path: '/login/**', kinds: ['oauth'] }, { path: '/v1/**' }],
    });
    const statusOf = async (path: string): Promise<number> =>
      (await lab.ask({ path, headers: { 'x-api-key': tokenOf('kinds') } })).status;
    expect([await statusOf('/login/x'), await statusOf('/v1/x')]).toEqual([403, 200]);
    expect(vendor.seen.map(({ url }) => url)).toEqual(['/v1/x']);
  });

  it('or none of them let a task renew anything at a token endpoint of any entry', async () => {
    const refresh = { token_url: `${vendor.url}/oauth/token`, client_id: 'a' };
    lab.provide('own', {
      prefix: 'own',
      upstream: 'https://other.example',
      auth: { oauth: { header: 'Authorization' } },
      refresh,
    });
    const post = (path: string) =>
      lab.ask({ method: 'POST', path, headers: { 'x-api-key': token }, body: 'grant_type=refresh_token' });
    for (const path of ['/oauth/token', '/claude/OAuth/token/', '/oauth/%74oken', '/oauth/token;a=b'])
      expect((await post(path)).status, path).toBe(403);
    expect(vendor.seen).toEqual([]);
    expect((await post('/oauth/tokens')).status).toBe(200);
  });
});

describe('a secret that comes back', () => {
  const ask = (more: Record<string, string> = {}): ReturnType<ProxyLab['ask']> =>
    lab.ask({ path: '/v1/a', headers: { 'x-api-key': token, ...more } });

  it('byte by byte, in early hints and in Location is never seen whole (V15)', async () => {
    vendor.handle = (_incoming, response) => {
      response.writeEarlyHints({ link: `</${REAL_KEY}>; rel=preload`, 'x-key': REAL_KEY });
      response.writeHead(200, { Location: `/back?key=${REAL_KEY}`, [`x-${'k'.repeat(3)}`]: REAL_KEY });
      let at = 0;
      const text = `<${REAL_KEY}>${REAL_KEY}`;
      const step = (): void => {
        if (at === text.length) response.end();
        else response.write(text[at++], () => setImmediate(step));
      };
      step();
    };
    const raw = await talk(head('GET /v1/a HTTP/1.1', 'Connection: close'));
    expect(raw).toMatch(/^HTTP\/1\.1 200/);
    expect(raw).not.toContain(REAL_KEY);
    expect(raw.replace(/\r\n[0-9a-f]+\r\n/g, '')).not.toContain(REAL_KEY.slice(0, 20));
  });

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
  ] as const)('packed with %s, one byte at a time, breaks the answer off (V15)', async (name, pack) => {
    const packed = pack(`an answer that says ${REAL_KEY} and more`);
    vendor.handle = (_incoming, response) => {
      response.writeHead(200, { 'Content-Encoding': name });
      let at = 0;
      const step = (): void => {
        if (at === packed.length) response.end();
        else response.write(packed.subarray(at, ++at), () => setImmediate(step));
      };
      step();
    };
    await expect(ask({ 'accept-encoding': name })).rejects.toThrow();
    expect(lab.audit).toMatchObject([{ outcome: 'secret_echoed' }]);
  });

  it('in the reason of a close, over a connection that a ping cuts, is blotted out (V15)', async () => {
    const server = new WebSocketServer({ server: vendor.server });
    server.on('headers', (lines) => lines.push(`x-key: ${REAL_KEY}`));
    server.on('connection', (socket) => {
      socket.ping(REAL_KEY);
      socket.send(REAL_KEY.slice(0, 11), { fin: false });
      socket.ping(REAL_KEY);
      socket.send(REAL_KEY.slice(11), { fin: true });
      setTimeout(() => socket.close(4401, `bad key ${REAL_KEY}`), 50);
    });
    const socket = new WebSocket(`ws+unix://${lab.socketPath}:/v1/a`, { headers: { 'x-api-key': token } });
    const seen: string[] = [];
    socket.on('upgrade', ({ rawHeaders }) => seen.push(rawHeaders.join('\n')));
    socket.on('ping', (data) => seen.push(String(data)));
    socket.on('message', (data) => seen.push(String(data)));
    const [code, reason] = await once(socket, 'close');
    seen.push(String(reason));
    expect(code).toBe(4401);
    expect(seen).toHaveLength(5);
    expect(seen.join('\n')).not.toContain(REAL_KEY.slice(0, 12));
    expect(seen.at(-1)).toBe(`bad key ${'*'.repeat(REAL_KEY.length)}`);
    await expect.poll(() => lab.audit).toMatchObject([{ outcome: 'secret_redacted', channel: 'websocket' }]);
    server.close();
  });

  it('after it was replaced, or to another credential of the same vendor, is one still (V15)', async () => {
    await ask();
    lab.renew('claude', { kind: 'api_key', key: 'sk-new-0123456789-abcdef' });
    const other = lab.provide(
      'other',
      { prefix: 'other', upstream: vendor.url, auth: { api_key: { header: 'x-own' } } },
      { kind: 'api_key', key: 'another-credential-0123456789' },
    );
    vendor.handle = (_incoming, response) => response.end(`${REAL_KEY} sk-new-0123456789-abcdef`);
    expect(String((await ask()).body)).toMatch(/^\*+ \*+$/);
    const answer = await lab.ask({ path: '/other/x', headers: { 'x-api-key': other } });
    expect(String(answer.body)).toMatch(/^\*+ \*+$/);
  });

  it('is looked for without a byte of anything else being changed', async () => {
    let state = 17;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let round = 0; round < 40; round++) {
      // Full of beginnings of the secret, none of them whole.
      const plain = Buffer.concat(
        Array.from({ length: 1 + next(400) }, () =>
          next(2) === 0
            ? Buffer.from(REAL_KEY.slice(0, next(REAL_KEY.length)))
            : Buffer.from(Array.from({ length: next(90) }, () => next(256))),
        ),
      );
      const encoding = (['identity', 'gzip', 'br', 'deflate'] as const)[next(4)] ?? 'identity';
      const packed = {
        identity: (b: Buffer) => b,
        gzip: gzipSync,
        br: brotliCompressSync,
        deflate: deflateSync,
      };
      const body = packed[encoding](plain);
      const sizes = Array.from({ length: 60 }, () => 1 + next(next(3) === 0 ? 3 : 2000));
      vendor.handle = (_incoming, response) => {
        if (encoding !== 'identity') response.setHeader('Content-Encoding', encoding);
        let at = 0;
        const step = (): void => {
          const size = sizes.pop() ?? body.length;
          response.write(body.subarray(at, at + size));
          at += size;
          if (at >= body.length) response.end();
          else setImmediate(step);
        };
        step();
      };
      const answer = await ask({ 'accept-encoding': 'gzip, br, deflate' });
      expect(answer.body.equals(body), `${encoding} ${round}`).toBe(true);
    }
    expect(new Set(lab.audit.map(({ outcome }) => outcome))).toEqual(new Set(['ok']));
  });

  it('is looked for in a bomb with no more memory than that takes', async () => {
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024));
    vendor.handle = (_incoming, response) => {
      response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' });
      response.end(bomb);
    };
    const before = process.memoryUsage().rss;
    expect((await ask({ 'accept-encoding': 'gzip' })).body.length).toBe(bomb.length);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
  });
});

describe('an answer that never says what it cost', () => {
  const stream = (...events: readonly string[]): void => {
    vendor.handle = (incoming, response) => {
      incoming.resume().once('end', () => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        for (const event of events) response.write(`data: ${event}\n\n`);
      });
    };
  };
  const START =
    '{"type":"message_start","message":{"model":"m-1","usage":{"input_tokens":900,"output_tokens":1}}}';
  const DELTA = `{"type":"content_block_delta","delta":{"type":"text_delta","text":"${'word '.repeat(80)}"}}`;

  /** Asks, and goes away with the so-manieth piece of the answer. */
  async function breakOff(path: string, body: string, pieces: number): Promise<void> {
    const outgoing = request({
      socketPath: lab.socketPath,
      path,
      method: 'POST',
      headers: { 'x-api-key': token, 'content-type': 'application/json' },
    });
    outgoing.on('error', () => undefined);
    outgoing.end(body);
    if (pieces > 0) {
      const [response] = await once(outgoing, 'response');
      response.on('error', () => undefined);
      let seen = '';
      for await (const chunk of response) {
        seen += String(chunk);
        if (seen.split('data:').length > pieces) break;
      }
    } else await expect.poll(() => vendor.seen.length).toBe(1);
    outgoing.destroy();
    await expect.poll(() => lab.audit.length).toBe(1);
  }

  it('costs what was seen of it where the task goes away before the end', async () => {
    stream(START, DELTA, DELTA);
    await breakOff('/v1/messages', '{"model":"m-1"}', 3);
    expect(lab.spent).toMatchObject([{ model: 'm-1', inputTokens: 900 }]);
    expect(lab.spent[0]?.outputTokens).toBeGreaterThanOrEqual(200);
    expect(lab.audit).toMatchObject([{ outcome: 'client_gone', isEstimate: true, costUsd: 0.25 }]);
  });

  it('costs its question where the task does not even wait for the first word', async () => {
    vendor.handle = (incoming) => incoming.resume();
    const body = JSON.stringify({ messages: 'x'.repeat(40_000), model: 'm-2' });
    await breakOff('/v1/messages', body, 0);
    expect(lab.spent).toMatchObject([{ model: 'm-2', inputTokens: Math.ceil(body.length / 4) }]);
  });

  it('costs what it said where it said so before the task went away', async () => {
    stream(START, DELTA, '{"type":"message_delta","usage":{"output_tokens":77}}');
    await breakOff('/v1/messages', '{"model":"m-1"}', 3);
    expect(lab.spent).toMatchObject([{ inputTokens: 900, outputTokens: 77 }]);
    expect(lab.audit[0]).not.toHaveProperty('isEstimate');
  });

  it('is guessed where a chat was streamed without its usage', async () => {
    lab.routes.set('claude', { ...lab.routes.get('claude'), usage: 'openai' } as never);
    vendor.handle = (incoming, response) => {
      incoming.resume();
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      for (let index = 0; index < 50; index++)
        response.write(`data: {"model":"gpt-x","choices":[{"delta":{"content":"word"}}]}\n\n`);
      response.end('data: [DONE]\n\n');
    };
    await lab.ask({
      method: 'POST',
      path: '/v1/chat',
      headers: { 'x-api-key': token },
      body: '{"model":"cheap"}',
    });
    expect(lab.spent).toMatchObject([{ model: 'gpt-x', inputTokens: 5 }]);
    expect(lab.spent[0]?.outputTokens).toBeGreaterThanOrEqual(50);
  });

  it('is nothing for counting, errors, upstreams that are not there, and whatever is only read', async () => {
    vendor.handle = (incoming, response) => {
      incoming.resume();
      response.writeHead(incoming.url === '/v1/bad' ? 400 : 200, { 'Content-Type': 'application/json' });
      response.end('{"input_tokens":5}');
    };
    const headers = { 'x-api-key': token };
    await lab.ask({ method: 'POST', path: '/v1/messages/count_tokens', headers, body: '{}' });
    await lab.ask({ method: 'POST', path: '/v1/bad', headers, body: '{}' });
    await lab.ask({ path: '/v1/models', headers });
    expect(lab.spent).toEqual([]);
    await lab.ask({ method: 'POST', path: '/v1/messages', headers, body: '{"model":"m"}' });
    expect(lab.spent).toHaveLength(1);
    await vendor.close();
    expect((await lab.ask({ method: 'POST', path: '/v1/messages', headers, body: '{}' })).status).toBe(502);
    expect(lab.spent).toHaveLength(1);
  });

  it('is read from the end of a document that is too long to keep', async () => {
    vendor.handle = (incoming, response) => {
      incoming.resume();
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(`{"data":"${'x'.repeat(9_000_000)}","usage":{"input_tokens":7,"output_tokens":3},"z":{}}`);
    };
    await lab.ask({ method: 'POST', path: '/v1/messages', headers: { 'x-api-key': token }, body: '{}' });
    expect(lab.spent).toMatchObject([{ inputTokens: 7, outputTokens: 3 }]);
  });

  it('of a websocket costs what was asked and begun when it ends', async () => {
    lab.routes.set('claude', { ...lab.routes.get('claude'), usage: 'openai' } as never);
    const server = new WebSocketServer({ server: vendor.server });
    server.on('connection', (socket) => {
      socket.on('message', () => {
        socket.send('{"response":{"model":"g","usage":{"input_tokens":5,"output_tokens":2}}}');
        for (let index = 0; index < 30; index++) socket.send('{"type":"x","delta":"word word"}');
      });
    });
    const socket = new WebSocket(`ws+unix://${lab.socketPath}:/v1/a`, { headers: { 'x-api-key': token } });
    let messages = 0;
    socket.on('message', () => {
      messages += 1;
    });
    await once(socket, 'open');
    socket.send('question'.repeat(20));
    await expect.poll(() => messages).toBe(31);
    socket.terminate();
    await expect.poll(() => lab.audit.length).toBe(1);
    expect(lab.spent).toMatchObject([{ inputTokens: 5 }, { model: 'g' }]);
    expect(lab.spent[1]?.outputTokens).toBeGreaterThanOrEqual(30);
    server.close();
  });

  it('counts no request that a locked vault, or none of that kind, kept back', async () => {
    const ask = () => lab.ask({ path: '/v1/a', headers: { 'x-api-key': token } });
    lab.liveError = new HostError('The vault is locked');
    await ask();
    lab.liveError = undefined;
    lab.credentials.set('claude', { kind: 'pat', token: REAL_KEY, host: null });
    await ask();
    lab.credentials.delete('claude');
    await ask();
    expect(lab.admitted).toBe(0);
    expect(lab.audit.map(({ outcome }) => outcome)).toEqual(['locked', 'no_route', 'no_credential']);
  });
});

describe('a connection that breaks', () => {
  it('in the middle of an answer is seen as broken, however the answer was framed', async () => {
    for (const headers of [{ 'Content-Length': '100' }, {}, { 'Content-Encoding': 'gzip' }]) {
      vendor.handle = (_incoming, response) => {
        response.writeHead(200, headers);
        response.write(gzipSync('half of it'), () => response.socket?.destroy());
      };
      const answer = lab.ask({ path: '/v1/a', headers: { 'x-api-key': token } });
      await expect(answer).rejects.toThrow();
    }
    await expect.poll(() => lab.audit.map(({ outcome }) => outcome)).toEqual(Array(3).fill('upstream_broke'));
  });

  it('is used again after an answer that came before the body was read', async () => {
    vendor.handle = (_incoming, response) => {
      response.writeHead(413, { 'Content-Length': '3' });
      response.end('big');
    };
    const socket = lab.raw();
    const seen: string[] = [];
    socket.on('data', (chunk) => seen.push(String(chunk)));
    socket.write(head('POST /v1/a HTTP/1.1', 'Content-Length: 3000000') + 'x'.repeat(1_500_000));
    await expect.poll(() => seen.join('')).toContain('big');
    socket.write('x'.repeat(1_500_000) + head('GET /v1/b HTTP/1.1'));
    await expect.poll(() => seen.join('').match(/HTTP\/1\.1 413/g)?.length).toBe(2);
    socket.destroy();
  });

  it('before it was made does not keep a task from ending', async () => {
    // Takes connections, and never says a word: no handshake ends.
    const silent: Socket[] = [];
    const hole = createServer((socket) => silent.push(socket));
    await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve));
    const address = hole.address();
    const port = typeof address === 'object' ? address?.port : 0;
    lab.provide('hole', {
      prefix: 'hole',
      upstream: `https://localhost:${port}`,
      auth: { api_key: { header: 'x-api-key' } },
    });
    const asked = lab.ask({ path: '/hole/x', headers: { 'x-api-key': tokenOf('hole') } });
    asked.catch(() => undefined);
    await expect.poll(() => silent.length).toBe(1);
    const began = Date.now();
    await lab.close();
    expect(Date.now() - began).toBeLessThan(10_000);
    expect(lab.audit).toMatchObject([{ outcome: 'closed' }]);
    for (const socket of silent) socket.destroy();
    hole.close();
  });

  it('to an upstream that does not read is filled no further than its buffers', async () => {
    const total = 64 * 1024 * 1024;
    let received = 0;
    let read: () => void = () => undefined;
    vendor.handle = (incoming, response) => {
      read = () => {
        incoming.on('data', (chunk: Buffer) => {
          received += chunk.length;
        });
        incoming.once('end', () => response.end('{}'));
      };
    };
    const outgoing = request({
      socketPath: lab.socketPath,
      path: '/v1/a',
      method: 'PUT',
      headers: { 'x-api-key': token, 'Content-Length': String(total) },
    });
    let written = 0;
    const write = (): void => {
      while (written < total) {
        written += 65_536;
        if (!outgoing.write(Buffer.alloc(65_536))) {
          outgoing.once('drain', write);
          return;
        }
      }
      outgoing.end();
    };
    write();
    await expect.poll(() => vendor.seen.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(written).toBeLessThan(total / 2);
    read();
    const [response] = await once(outgoing, 'response');
    response.resume();
    expect([response.statusCode, received]).toEqual([200, total]);
  });

  it('of a hundred idle ones hinders nobody', async () => {
    const idle = Array.from({ length: 100 }, () => lab.raw().on('error', () => undefined));
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    expect((await lab.ask({ path: '/v1/a', headers: { 'x-api-key': token } })).status).toBe(200);
    await lab.close();
    for (const socket of idle) socket.destroy();
  });
});
