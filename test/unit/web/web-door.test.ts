import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/runtime/core/log.ts';
import { DoorKey } from '../../../src/runtime/web/door-key.ts';
import type { Dial } from '../../../src/runtime/web/namespace-client.ts';
import { type DoorLimits, WebDoorServer } from '../../../src/runtime/web/web-door-server.ts';
import { eventually } from '../../support/shipped.ts';
import { WebProgram } from '../../support/web-program.ts';

const TOKEN = 'right-token';
const COOKIE = `terok_token_k3f9a=${TOKEN}`;

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

const ends: AsyncDisposable[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end[Symbol.asyncDispose]();
});

async function door(
  dial: Dial,
  options: { readonly publicUrl?: string; readonly limits?: Partial<DoorLimits> } = {},
) {
  const port = await freePort();
  const { publicUrl = `http://127.0.0.1:${port}`, limits = {} } = options;
  const opened = new WebDoorServer({
    key: new DoorKey({
      task: 'k3f9a',
      tokenHash: createHash('sha256').update(TOKEN).digest(),
      isSecure: publicUrl.startsWith('https:'),
    }),
    publicUrl: new URL(publicUrl),
    dial,
    logger: silentLogger,
    limits,
  });
  await opened.listen(port);
  ends.push(opened);
  return { port, door: opened };
}

async function program(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<WebProgram> {
  const started = await WebProgram.start(answer);
  ends.push(started);
  return started;
}

/** A program that speaks bytes instead of HTTP; the way to it. */
async function rawProgram(speak: (socket: Socket) => void): Promise<Dial> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).resume();
    speak(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  ends.push({
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return () => {
    const stream = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    stream.on('error', () => undefined);
    return { stream, gone: new Promise((resolve) => stream.once('close', resolve)) };
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string | string[]>; body?: string } = {},
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: false,
    });
    asked.on('error', reject);
    asked.on('response', (answer) => {
      let text = '';
      answer.setEncoding('latin1').on('data', (chunk) => {
        text += String(chunk);
      });
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
    });
    asked.end(options.body);
  });
}

const authorised = (port: number, path = '/', headers: Record<string, string> = {}) =>
  ask(port, path, { headers: { cookie: COOKIE, ...headers } });

/** Bytes to the door and everything that comes back until it closes or is quiet. */
async function raw(port: number, bytes: string, quietMs = 300): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.write(bytes);
  await Promise.race([
    once(socket, 'close').catch(() => undefined),
    once(socket, 'end').catch(() => undefined),
    delay(quietMs),
  ]);
  socket.destroy();
  return text;
}

const upgrade = (port: number, headers: Record<string, string>): string =>
  [
    'GET /ws HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ].join('\r\n');

describe('who gets in', () => {
  it('nobody without the token: 401, and the program hears nothing', async () => {
    const behind = await program((_request, response) => void response.end('inside'));
    const { port } = await door(behind.dial);
    for (const headers of [
      {},
      { cookie: 'terok_token_k3f9a=wrong' },
      { cookie: `terok_token_other=${TOKEN}` },
    ]) {
      const answer = await ask(port, '/', { headers });
      expect(answer).toMatchObject({ status: 401, headers: { 'cache-control': 'no-store' } });
      expect(answer.text).not.toContain('inside');
    }
    expect((await ask(port, '/?token=wrong')).status).toBe(401);
    expect((await ask(port, '/?token=')).status).toBe(401);
    expect(await raw(port, upgrade(port, {}))).toMatch(/^HTTP\/1\.1 401 /);
    expect(behind.dialled).toBe(0);
  });

  it('whoever brings the token gets a cookie, and the address without it', async () => {
    const behind = await program((_request, response) => void response.end('inside'));
    const { port } = await door(behind.dial);
    const entered = await ask(port, `/a/b?x=1&token=${TOKEN}&y=%20`);
    expect(entered.status).toBe(303);
    const { location = '' } = entered.headers;
    expect(new URL(location, `http://127.0.0.1:${port}/a/b?token=t`).href).toBe(
      `http://127.0.0.1:${port}/a/b?x=1&y=%20`,
    );
    const [cookie = ''] = entered.headers['set-cookie'] ?? [];
    expect(cookie).toBe(`${COOKIE}; Path=/; HttpOnly; SameSite=Strict`);
    expect(behind.dialled).toBe(0);
    expect(await ask(port, '/', { headers: { cookie: cookie.split(';')[0] ?? '' } })).toMatchObject({
      status: 200,
      text: 'inside',
    });
  });

  it('marks the cookie Secure behind an https address', async () => {
    const behind = await program((_request, response) => void response.end());
    const { port } = await door(behind.dial, { publicUrl: 'https://tasks.example.org/one/' });
    const entered = await ask(port, `/?token=${TOKEN}`, { headers: { host: 'tasks.example.org' } });
    expect(entered.headers['set-cookie']?.[0]).toMatch(/; Secure$/);
  });

  it('is never led to another host by what the path looks like', async () => {
    const { port } = await door((await program((_request, response) => void response.end())).dial);
    for (const path of ['//evil.example/', '//evil.example', '/\\evil.example/x', '/https://evil.example']) {
      const { headers } = await ask(port, `${path}?token=${TOKEN}`);
      expect(new URL(headers.location ?? '', `http://127.0.0.1:${port}${path}`).host).toBe(
        `127.0.0.1:${port}`,
      );
    }
  });

  it('goes on by a page where a browser comes from another site, because strict cookies do not follow redirects', async () => {
    const { port } = await door((await program((_request, response) => void response.end())).dial);
    const entered = await ask(port, `/p"><script>alert(1)</script>?token=${TOKEN}`.replaceAll(' ', ''), {
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    });
    expect(entered.status).toBe(200);
    expect(entered.text).toContain('http-equiv="refresh"');
    expect(entered.text).not.toContain('<script');
    expect(entered.text).not.toContain(TOKEN);
  });
});

describe('what the program gets', () => {
  it('the request, without our token and cookies', async () => {
    const behind = await program((incoming, response) => {
      incoming.resume();
      response.end(JSON.stringify({ url: incoming.url, headers: incoming.headersDistinct }));
    });
    const { port } = await door(behind.dial);
    const answer = await ask(port, `/p?token=${TOKEN}&token=its-own`, {
      method: 'POST',
      body: 'hello',
      headers: {
        cookie: `theme=dark; ${COOKIE}; terok_token_other=secret; lang=en`,
        connection: 'close, x-only-here',
        'x-only-here': '1',
        'x-two': ['a', 'b'],
        'keep-alive': 'timeout=9',
        'content-length': '5',
      },
    });
    const seen = JSON.parse(answer.text);
    expect(seen.url).toBe('/p?token=its-own');
    expect(seen.headers.cookie).toEqual(['theme=dark; lang=en']);
    expect(seen.headers.host).toEqual([`127.0.0.1:${port}`]);
    expect(seen.headers['x-two']).toEqual(['a', 'b']);
    expect(seen.headers['content-length']).toEqual(['5']);
    expect(Object.keys(seen.headers)).not.toEqual(expect.arrayContaining(['x-only-here']));
    expect(JSON.stringify(seen)).not.toMatch(/right-token|terok_token|secret/);
  });

  it('bodies of any length and framing, byte for byte', async () => {
    const behind = await program((incoming, response) => {
      const hash = createHash('sha256');
      incoming.on('data', (chunk) => hash.update(chunk));
      incoming.on('end', () => response.end(hash.digest('hex')));
    });
    const { port } = await door(behind.dial);
    const body = 'ab'.repeat(2_000_000);
    const digest = createHash('sha256').update(body).digest('hex');
    for (const framing of [{ 'transfer-encoding': 'chunked' }, { 'content-length': String(body.length) }]) {
      for (const method of ['POST', 'DELETE']) {
        const answer = await ask(port, '/', { method, body, headers: { cookie: COOKIE, ...framing } });
        expect(answer).toMatchObject({ status: 200, text: digest });
      }
    }
  });

  it('no more than it takes: a slow program makes a slow upload, and not a large daemon', async () => {
    const behind = await program((incoming) => void incoming.pause());
    const { port } = await door(behind.dial);
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      `POST / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${COOKIE}\r\nContent-Length: 1000000000\r\n\r\n`,
    );
    const chunk = Buffer.alloc(1_000_000);
    let taken = 0;
    while (taken < 200) {
      const isTaken =
        socket.write(chunk) || (await Promise.race([once(socket, 'drain'), delay(300)])) !== undefined;
      if (!isTaken) break;
      taken += 1;
    }
    expect(taken).toBeLessThan(60);
    socket.destroy();
  });
});

describe('what comes back', () => {
  it('the answer as it is: status, headers, several cookies, body', async () => {
    const behind = await program((_request, response) => {
      response.writeHead(418, {
        'x-a': ['1', '2'],
        'set-cookie': ['a=1; Path=/', 'b=2; Domain=example.org; HttpOnly'],
      });
      response.end('tea');
    });
    const { port } = await door(behind.dial);
    const answer = await authorised(port);
    expect(answer).toMatchObject({ status: 418, text: 'tea', headers: { 'x-a': '1, 2' } });
    expect(answer.headers['set-cookie']).toEqual(['a=1; Path=/', 'b=2; HttpOnly']);
  });

  it('answers without a body: HEAD, 204, 304', async () => {
    const behind = await program(({ url, method }, response) => {
      if (method === 'HEAD') response.writeHead(200, { 'content-length': '77' }).end();
      else response.writeHead(Number(url?.slice(1))).end();
    });
    const { port } = await door(behind.dial);
    expect(await ask(port, '/', { method: 'HEAD', headers: { cookie: COOKIE } })).toMatchObject({
      status: 200,
      headers: { 'content-length': '77' },
    });
    expect((await authorised(port, '/204')).status).toBe(204);
    expect((await authorised(port, '/304')).status).toBe(304);
  });

  it('server-sent events, each when it is sent', async () => {
    let tell = (_text: string): void => undefined;
    const behind = await program((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      tell = (text) => void response.write(`data: ${text}\n\n`);
    });
    const { port } = await door(behind.dial);
    const asked = request({ host: '127.0.0.1', port, path: '/', headers: { cookie: COOKIE }, agent: false });
    asked.end();
    const [answer] = await once(asked, 'response');
    for (const text of ['one', 'two']) {
      tell(text);
      const [chunk] = await once(answer, 'data');
      expect(String(chunk)).toBe(`data: ${text}\n\n`);
    }
    asked.destroy();
    expect(
      await eventually(
        async () => behind.connections,
        (open) => open === 0,
      ),
    ).toBe(0);
  });

  it('WebSockets, both ways, until either side closes', async () => {
    const behind = await program((_request, response) => void response.end());
    const { port } = await door(behind.dial);
    const socket = connect(port, '127.0.0.1');
    socket.write(upgrade(port, { Cookie: COOKIE, Origin: `http://127.0.0.1:${port}` }));
    const [head] = await once(socket, 'data');
    expect(String(head)).toMatch(/^HTTP\/1\.1 101 .*sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/is);
    const message = Buffer.from([0x82, 3, 0, 255, 128]);
    socket.write(message);
    expect((await once(socket, 'data'))[0]).toEqual(message);
    expect(behind.seen[0]?.headers.cookie).toBeUndefined();
    socket.destroy();
    expect(
      await eventually(
        async () => behind.connections,
        (open) => open === 0,
      ),
    ).toBe(0);
  });

  it('a refusal of a WebSocket by the program', async () => {
    const dial = await rawProgram((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone')),
    );
    const { port } = await door(dial);
    const answer = await raw(port, upgrade(port, { Cookie: COOKIE }));
    expect(answer).toMatch(/^HTTP\/1\.1 404 Not Found/);
    expect(answer).toContain('none');
  });

  it('502 while nothing listens', async () => {
    const behind = await WebProgram.start(() => undefined);
    const { dial } = behind;
    await behind[Symbol.asyncDispose]();
    const { port } = await door(dial);
    expect(await authorised(port)).toMatchObject({ status: 502, headers: { 'retry-after': '1' } });
    expect(await raw(port, upgrade(port, { Cookie: COOKIE }))).toMatch(/^HTTP\/1\.1 502 /);
  });
});

describe('pages of others in the same browser', () => {
  const inside = async (options: { readonly publicUrl?: string } = {}) => {
    const behind = await program((incoming, response) => {
      incoming.resume();
      response.end('inside');
    });
    return { ...(await door(behind.dial, options)), behind };
  };

  it('do not get here by a name that leads to loopback (DNS rebinding)', async () => {
    const { port, behind } = await inside({ publicUrl: 'https://tasks.example.org/' });
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      'tasks.example.org.evil',
      '',
    ]) {
      const answer = await raw(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nCookie: ${COOKIE}\r\n\r\n`);
      expect(answer, host).toMatch(/^HTTP\/1\.1 4(?:00|21) /);
    }
    expect(behind.dialled).toBe(0);
    for (const host of ['localhost:9', '127.0.0.1', '[::1]:80', 'TASKS.example.org']) {
      expect((await authorised(port, '/', { host })).text, host).toBe('inside');
    }
  });

  it('do not open WebSockets', async () => {
    const { port, behind } = await inside({ publicUrl: 'https://tasks.example.org/' });
    const open = (origin: string): Promise<string> =>
      raw(port, upgrade(port, { Cookie: COOKIE, Origin: origin }));
    for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:1', `http://localhost:${port}`])
      expect(await open(origin), origin).toMatch(/^HTTP\/1\.1 403 /);
    expect(behind.dialled).toBe(0);
    for (const origin of [`http://127.0.0.1:${port}`, 'https://tasks.example.org'])
      expect(await open(origin), origin).toMatch(/^HTTP\/1\.1 101 /);
  });

  it('do not act with the cookie from another port of this machine', async () => {
    const { port, behind } = await inside();
    const sameSite = { 'sec-fetch-site': 'same-site', cookie: COOKIE };
    const attempts = [
      { method: 'POST', headers: { cookie: COOKIE, origin: 'http://127.0.0.1:1' } },
      { method: 'GET', headers: { ...sameSite, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' } },
      { method: 'GET', headers: { ...sameSite, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' } },
      {
        method: 'POST',
        headers: { ...sameSite, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
      },
    ];
    for (const attempt of attempts) expect((await ask(port, '/', attempt)).status).toBe(403);
    expect(behind.dialled).toBe(0);
    const link = { ...sameSite, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await ask(port, '/', { headers: link })).status).toBe(200);
    const own = { cookie: COOKIE, origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' };
    expect((await ask(port, '/', { method: 'POST', headers: own })).status).toBe(200);
  });

  it('a task installs nothing that would answer for the next task on its port', async () => {
    const { port } = await inside();
    expect((await authorised(port, '/worker.js', { 'service-worker': 'script' })).status).toBe(403);
  });

  it('do not get a second request past the door in the body of the first', async () => {
    const { port, behind } = await inside();
    const hidden = 'GET /hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
    const head = (method: string, ...lines: readonly string[]): string =>
      [`${method} /shown HTTP/1.1`, 'Host: 127.0.0.1', `Cookie: ${COOKIE}`, ...lines, '', ''].join('\r\n');
    for (const [lines, body] of [
      [['Content-Length: 4', 'Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`],
      [['Transfer-Encoding: chunked, identity'], `0\r\n\r\n${hidden}`],
      [['Transfer-Encoding : chunked'], `0\r\n\r\n${hidden}`],
      [['Content-Length: 0', `Content-Length: ${hidden.length}`], hidden],
      [['X-Folded: a', ' Content-Length: 3'], hidden],
    ] as const)
      for (const method of ['GET', 'POST'])
        expect(await raw(port, `${head(method, ...lines)}${body}`)).toMatch(/^HTTP\/1\.1 4\d\d /);
    const length = `Content-Length: ${hidden.length}`;
    for (const method of ['GET', 'POST', 'DELETE'])
      await raw(port, `${head(method, length, 'Connection: close, content-length')}${hidden}`);
    const bodies = behind.seen.map(({ url, headers }) => [url, headers['content-length']]);
    expect(bodies).toEqual(Array.from({ length: 3 }, () => ['/shown', String(hidden.length)]));
  });

  it('is no proxy, and takes one host a request', async () => {
    const { port, behind } = await inside();
    for (const bytes of [
      `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${COOKIE}\r\n\r\n`,
      `OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${COOKIE}\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nCookie: ${COOKIE}\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${COOKIE}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
    ])
      expect(await raw(port, bytes)).toMatch(/^HTTP\/1\.1 400 /);
    expect(
      await raw(port, `CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${COOKIE}\r\n\r\n`),
    ).toBe('');
    expect(behind.dialled).toBe(0);
  });
});

describe('a hostile program', () => {
  it('takes the cookie of no door, and speaks for no more than its own address', async () => {
    const behind = await program((_request, response) => {
      response.setHeader('set-cookie', [
        'terok_token_k3f9a=x',
        'TEROK_TOKEN_k3f9a=x; Path=/deep',
        ' terok_token_other =y',
        'fine=1',
      ]);
      response.setHeader('clear-site-data', '"cookies"');
      response.setHeader('strict-transport-security', 'max-age=99999999');
      response.setHeader('service-worker-allowed', '/');
      response.end();
    });
    const { port } = await door(behind.dial);
    const { headers } = await authorised(port);
    expect(headers['set-cookie']).toEqual(['fine=1']);
    for (const name of ['clear-site-data', 'strict-transport-security', 'service-worker-allowed'])
      expect(headers[name]).toBeUndefined();
  });

  const ok = 'HTTP/1.1 200 OK\r\n';
  it.each([
    ['says nothing that is HTTP', 'hello\r\n\r\n'],
    ['splits lines in a header', `${ok}X-A: a\rSet-Cookie: terok_token_k3f9a=x\r\n\r\n`],
    ['has two lengths', `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
    ['has a length and chunks', `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['has a status that is none', 'HTTP/1.1 99 What\r\nContent-Length: 0\r\n\r\n'],
    [
      'switches to something nobody asked for',
      'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
    ],
    ['closes before its head is complete', `${ok}X-A: `],
    ['has a head without end', `${ok}X-Filler: ${'y'.repeat(200_000)}`],
  ])('that %s is no answer', async (_what, bytes) => {
    const { port } = await door(
      await rawProgram((socket) => socket.once('data', () => socket.end(bytes, 'latin1'))),
    );
    const answer = await authorised(port);
    expect(answer.status).toBe(502);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(await raw(port, upgrade(port, { Cookie: COOKIE }))).toMatch(/^HTTP\/1\.1 (?:502|101) /);
    expect((await ask(port, '/')).status).toBe(401);
  });

  it('with a head that never ends is cut off while it speaks', async () => {
    const { port } = await door(
      await rawProgram((socket) => {
        socket.write(ok);
        const line = `X-${'a'.repeat(1000)}: ${'b'.repeat(1000)}\r\n`;
        const speak = (): void => {
          while (!socket.destroyed && socket.write(line));
        };
        socket.on('drain', speak);
        speak();
      }),
    );
    expect((await authorised(port)).status).toBe(502);
  });

  it('that breaks off in the middle is seen to', async () => {
    const { port } = await door(
      await rawProgram((socket) =>
        socket.once('data', () => socket.end(`${ok}Content-Length: 100\r\n\r\nhalf`)),
      ),
    );
    await expect(authorised(port)).rejects.toThrow();
    expect((await ask(port, '/')).status).toBe(401);
  });

  it('that sends more than its answer adds nothing to it', async () => {
    const { port } = await door(
      await rawProgram((socket) =>
        socket.once('data', () =>
          socket.write(`${ok}Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nmore`),
        ),
      ),
    );
    expect((await authorised(port)).text).toBe('ok');
  });

  it('with a body without end is read at the pace of the browser', async () => {
    let written = 0;
    const behind = await program((_request, response) => {
      const chunk = Buffer.alloc(1_000_000);
      const speak = (): void => {
        do written += 1;
        while (response.write(chunk));
      };
      response.on('drain', speak);
      speak();
    });
    const { port } = await door(behind.dial);
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${COOKIE}\r\n\r\n`);
    await once(socket, 'readable');
    await delay(300);
    const settled = written;
    await delay(200);
    expect(written - settled).toBeLessThan(5);
    expect(written).toBeLessThan(60);
    socket.destroy();
    expect(
      await eventually(
        async () => behind.connections,
        (open) => open === 0,
      ),
    ).toBe(0);
  });

  it('that is silent is left after the idle time', async () => {
    const dial = await rawProgram(() => undefined);
    const { port } = await door(dial, { limits: { idleMs: 200 } });
    await expect(authorised(port)).rejects.toThrow();
  });
});

describe('bounds', () => {
  it('has a limited number of ways to the program open, and frees them', async () => {
    const behind = await program(() => undefined);
    const { port } = await door(behind.dial, { limits: { helpers: 3 } });
    const held = Array.from({ length: 3 }, () => {
      const asked = request({ host: '127.0.0.1', port, headers: { cookie: COOKIE }, agent: false });
      asked.on('error', () => undefined).end();
      return asked;
    });
    expect(
      await eventually(
        async () => behind.connections,
        (open) => open === 3,
      ),
    ).toBe(3);
    expect((await authorised(port)).status).toBe(503);
    expect(await raw(port, upgrade(port, { Cookie: COOKIE }))).toMatch(/^HTTP\/1\.1 503 /);
    held[0]?.destroy();
    await eventually(
      async () => behind.connections,
      (open) => open === 2,
    );
    const again = raw(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${COOKIE}\r\n\r\n`);
    expect(await again).toBe('');
    for (const asked of held) asked.destroy();
  });

  it('gives nobody long to say what they want', async () => {
    const { port } = await door((await program((_request, response) => void response.end())).dial, {
      limits: { idleMs: 150 },
    });
    expect(await raw(port, 'GET / HTTP/1.1\r\nHost: ', 5_000)).toBe('');
  });

  it('closes with everything that goes through it', async () => {
    const behind = await program((_request, response) => void response.write('begun'));
    const { port, door: opened } = await door(behind.dial);
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(upgrade(port, { Cookie: COOKIE }));
    await once(socket, 'data');
    const asked = request({ host: '127.0.0.1', port, headers: { cookie: COOKIE }, agent: false });
    asked.on('error', () => undefined).end();
    await once(asked, 'response');
    const closed = once(socket, 'close');
    await opened.close();
    await closed;
    await opened.close();
    expect(
      await eventually(
        async () => behind.connections,
        (open) => open === 0,
      ),
    ).toBe(0);
    await expect(ask(port, '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
