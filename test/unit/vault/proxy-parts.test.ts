import { describe, expect, it } from 'vitest';
import { isPublicAddress } from '../../../src/runtime/core/address-classes.ts';
import { FrameStream } from '../../../src/runtime/vault/proxy/frame-stream.ts';
import { hasQueriesOnly, queriesOnly } from '../../../src/runtime/vault/proxy/graphql-query.ts';
import { presentedTokens } from '../../../src/runtime/vault/proxy/presented-tokens.ts';
import { checkPath, splitTarget } from '../../../src/runtime/vault/proxy/request-target.ts';
import { chooseUpstream, pathOf, withoutPrefix } from '../../../src/runtime/vault/proxy/route-choice.ts';
import { checkRules, isGraphql } from '../../../src/runtime/vault/proxy/route-rules.ts';
import { secretForms } from '../../../src/runtime/vault/proxy/secret-forms.ts';
import { SecretMask } from '../../../src/runtime/vault/proxy/secret-mask.ts';
import { UsageMeter } from '../../../src/runtime/vault/proxy/usage-meter.ts';

describe('where a path goes', () => {
  const route = {
    upstream: 'https://api.example.com/zen/',
    paths: { '/backend-api/': 'https://chat.example.com', '/backend-api/deep': 'https://deep.example.com' },
  };

  it('takes the route prefix off where it is the first segment', () => {
    expect(withoutPrefix('/codex/v1', 'codex')).toBe('/v1');
    expect(withoutPrefix('/codex', 'codex')).toBe('/');
    expect(withoutPrefix('/codexes/v1', 'codex')).toBe('/codexes/v1');
  });

  it('lets the longest prefix win, at segment borders', () => {
    expect(chooseUpstream(route, '/v1/x')).toMatchObject({
      origin: 'https://api.example.com',
      path: '/zen/v1/x',
    });
    expect(chooseUpstream(route, '/backend-api/a').origin).toBe('https://chat.example.com');
    expect(chooseUpstream(route, '/backend-api/deep/a').origin).toBe('https://deep.example.com');
    expect(chooseUpstream(route, '/backend-api/deeper').origin).toBe('https://chat.example.com');
    expect(chooseUpstream(route, '/backend-apis').origin).toBe('https://api.example.com');
  });

  it('finds the path by which the route leads to an address', () => {
    expect(pathOf(route, new URL('https://api.example.com/zen/v1?a=1'))).toBe('/v1?a=1');
    expect(pathOf(route, new URL('https://chat.example.com/backend-api/x'))).toBe('/backend-api/x');
    expect(pathOf(route, new URL('https://chat.example.com/other'))).toBeUndefined();
    expect(pathOf(route, new URL('https://api.example.com/zenith'))).toBeUndefined();
  });
});

describe('path hygiene', () => {
  it.each([
    '/a/../b',
    '/a/./b',
    '/..',
    '/a/%2e%2E/b',
    '/a/.%2e/b',
    '/a/..;x=1/b',
    '/a/%2e%2e%3bx/b',
    '//a',
    '/a//b',
    '/a\\b',
    '/a%5cb',
    '/a%00b',
    '/a%0d%0ab',
    '/a%2fb',
    '/a%c0%afb',
    '/a%252e%252e/b',
    '/a%25252fb',
    '/a%zz',
    '/a%',
    '/a#b',
    '/a b',
    '/a\tb',
  ])('refuses %s', (path) => {
    expect(() => checkPath(path, { hasEncodedSlashes: false })).toThrow('The path');
  });

  it('lets through what means one thing only', () => {
    for (const path of ['/', '/a.b/c..d/...', '/a%20b/%C3%A9', '/a;b=c', '/a:b@c,d', '/\u00e9']) {
      expect(() => checkPath(path, { hasEncodedSlashes: false })).not.toThrow();
    }
    expect(() => checkPath('/projects/a%2Fb', { hasEncodedSlashes: true })).not.toThrow();
    expect(() => checkPath('/projects/a%2F..%2Fb', { hasEncodedSlashes: true })).toThrow();
    expect(splitTarget('/a?b?c')).toEqual({ path: '/a', query: '?b?c' });
    expect(() => splitTarget('http://a/')).toThrow();
    expect(() => splitTarget('*')).toThrow();
  });
});

describe('what a route lets be asked', () => {
  const route = {
    rules: [{ methods: ['GET'], path: '/repos/*/issues' }, { path: '/free/**' }],
    graphql: '/graphql',
  };

  it('compares methods and segments', () => {
    expect(() => checkRules(route, { method: 'GET', path: '/repos/a/issues' })).not.toThrow();
    expect(() => checkRules(route, { method: 'PUT', path: '/free/a/b' })).not.toThrow();
    for (const [method, path] of [
      ['POST', '/repos/a/issues'],
      ['GET', '/repos/a/b/issues'],
      ['GET', '/repos//issues'],
      ['GET', '/repos/a/issues/'],
      ['GET', '/free'],
      ['GET', '/%66ree/a'],
    ] as const) {
      expect(() => checkRules(route, { method, path }), path).toThrow();
    }
  });

  it('knows the GraphQL path however it is written', () => {
    for (const path of ['/graphql', '/GraphQL/', '/graph%71l', '/graphql;a=b']) {
      expect(isGraphql(route, path), path).toBe(true);
    }
  });

  it.each([
    'mutation { a }',
    'query { a } mutation { b }',
    '{ a } subscription { b }',
    'fragment F on A { a }\nmutation M { b }',
    '# query\nmutation { a }',
    'query Q($a: String = "}") { a } mutation { b }',
    'query { a(b: """ " } """) } mutation { c }',
    '"query" mutation { a }',
    '{ a } } mutation { b }',
    '{ a(b: "unclosed) } ',
    'extend type Query { a: Int }',
    '',
  ])('takes %j for no query', (document) => {
    expect(hasQueriesOnly(document)).toBe(false);
  });

  it.each([
    '{ a }',
    'query { a }',
    'query mutation { a }',
    'query Q($m: String = "mutation {") @d(a: {b: 1}) { mutation: a(x: {y: ["}"]}) { b } } fragment F on mutation { a }',
  ])('takes %j for a query', (document) => {
    expect(hasQueriesOnly(document)).toBe(true);
  });

  it('sends on what it read, not what another parser could read', () => {
    const head = { method: 'POST', contentType: 'application/json' };
    const twice = Buffer.from(
      '{"query":"mutation { a }","query":"{ b }","extensions":{"persistedQuery":{}}}',
    );
    expect(queriesOnly(twice, head).toString()).toBe('{"query":"{ b }"}');
    expect(() => queriesOnly(Buffer.from('{"id":"stored"}'), head)).toThrow();
    expect(() => queriesOnly(Buffer.from('[{"query":"{a}"},{"query":"mutation {a}"}]'), head)).toThrow();
    expect(() =>
      queriesOnly(Buffer.from('{"query":"{a}"}'), {
        ...head,
        contentType: 'application/json; charset=utf-7',
      }),
    ).toThrow();
  });
});

describe('tokens that a request shows', () => {
  it('are found in every header where programs put them', () => {
    expect(
      presentedTokens([
        ['authorization', 'bearer a1'],
        ['Authorization', 'token a2'],
        ['Authorization', `Basic ${Buffer.from('name:a3').toString('base64')}`],
        ['X-API-Key', 'a4'],
        ['private-token', 'a5'],
        ['x-goog-api-key', 'a1'],
        ['sec-websocket-protocol', 'realtime, openai-insecure-api-key.a6'],
        ['cookie', 'a7'],
      ]),
    ).toEqual(['a1', 'a2', 'a3', 'name', 'a4', 'a5', 'a6']);
  });
});

describe('addresses that redirects may lead to', () => {
  it('are public ones', () => {
    for (const address of ['8.8.8.8', '140.82.112.3', '2606:4700::1111'])
      expect(isPublicAddress(address)).toBe(true);
    for (const address of [
      '127.0.0.1',
      '10.1.2.3',
      '172.16.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '224.0.0.1',
      '198.18.0.1',
      '203.0.113.9',
      '255.255.255.255',
      '::1',
      '::',
      'fe80::1',
      'fc00::1',
      'ff02::1',
      '::ffff:10.0.0.1',
      '::ffff:8.8.8.8',
      '64:ff9b::a00:1',
      '2002:a00:1::',
      '2001:db8::1',
      'localhost',
      '',
    ]) {
      expect(isPublicAddress(address), address).toBe(false);
    }
  });
});

/** The same every time: a failure can be repeated. */
function random(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('secrets on their way back', () => {
  const secret = 'sk-real/0123+456=789abcdefgh';

  it('are blotted out wherever chunks end, at their own length', () => {
    const next = random(7);
    const forms = secretForms([secret]);
    for (let round = 0; round < 400; round++) {
      const parts = Array.from({ length: 8 }, () =>
        next(3) === 0
          ? (forms[next(forms.length)] ?? Buffer.alloc(0))
          : Buffer.from(secret.slice(0, next(secret.length))),
      );
      const text = Buffer.concat(parts);
      const mask = new SecretMask(forms);
      const out: Buffer[] = [];
      for (let at = 0; at < text.length; ) {
        const size = 1 + next(30);
        out.push(mask.push(text.subarray(at, at + size)));
        at += size;
      }
      out.push(mask.flush());
      const clean = Buffer.concat(out);
      expect(clean.length).toBe(text.length);
      for (const form of forms) expect(clean.includes(form)).toBe(false);
    }
  });

  it('hold nothing back that cannot become one', () => {
    const mask = new SecretMask(secretForms([secret]));
    expect(mask.push(Buffer.from('data: hello\n\n')).toString()).toBe('data: hello\n\n');
    expect(mask.push(Buffer.from('data: sk-re')).toString()).toBe('data: ');
    expect(mask.push(Buffer.from('st')).toString()).toBe('sk-rest');
    const source = Buffer.from(`x${secret}`);
    mask.push(source);
    expect(source.toString()).toBe(`x${secret}`);
  });

  it('are found in messages that frames cut, however the frames arrive', () => {
    const next = random(11);
    const forms = secretForms([secret]);
    for (let round = 0; round < 200; round++) {
      const message = `ab${secret}cd${secret.slice(0, 9)}`;
      const frames: Buffer[] = [];
      for (let at = 0; at < message.length; ) {
        const size = next(12);
        const piece = Buffer.from(message.slice(at, at + size));
        const isLast = at + size >= message.length;
        frames.push(Buffer.from([(isLast ? 0x80 : 0) | (frames.length === 0 ? 1 : 0), piece.length]), piece);
        if (!isLast && next(3) === 0) frames.push(Buffer.from([0x89, 2, 1, 2]));
        at += size;
        if (isLast) break;
        // A message begins once.
        if (frames.length === 0) frames.push(Buffer.from([1, 0]));
      }
      const bytes = Buffer.concat(frames);
      const texts: string[] = [];
      const stream = new FrameStream({ forms, onText: (text) => texts.push(text) });
      const out: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + next(9);
        out.push(stream.push(bytes.subarray(at, at + size)));
        at += size;
      }
      const passed = Buffer.concat(out);
      expect(passed.length).toBe(bytes.length);
      expect(texts).toEqual([message]);
      const again: string[] = [];
      new FrameStream({ forms: [], onText: (text) => again.push(text) }).push(passed);
      expect(again).toEqual([`ab${'*'.repeat(secret.length)}cd${secret.slice(0, 9)}`]);
      expect(stream.found).toBe(1);
    }
  });

  it('end a connection whose frames are none', () => {
    for (const bytes of [
      [0x81, 0x85],
      [0xc1, 0],
      [0x83, 0],
      [0x09, 0],
      [0x89, 126, 0, 0],
      [0x80, 1],
      [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255],
    ]) {
      const stream = new FrameStream({ forms: [], onText: () => undefined });
      expect(() => stream.push(Buffer.from(bytes)), String(bytes)).toThrow();
    }
  });
});

describe('what an answer cost', () => {
  const read = (usage: 'anthropic' | 'openai' | 'google', type: string, text: string): unknown => {
    const meter = UsageMeter.of({ usage }, type);
    for (let at = 0; at < text.length; at += 13) meter?.push(Buffer.from(text.slice(at, at + 13)));
    return meter?.end();
  };

  it('is read from streams of Anthropic', () => {
    const text = [
      'event: message_start',
      'data: {"type":"message_start","message":{"model":"c-1","usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":1}}}',
      '',
      'data: {"type":"content_block_delta","delta":{"text":"\\"usage\\":{}"}}',
      '',
      'data: {"type":"message_delta","usage":{"output_tokens":25}}',
      '',
    ].join('\r\n');
    expect(read('anthropic', 'text/event-stream', text)).toEqual({
      model: 'c-1',
      inputTokens: 10,
      outputTokens: 25,
      cacheReadTokens: 4,
      cacheWriteTokens: 0,
    });
  });

  it('is read from streams and bodies of OpenAI, and of Google', () => {
    const completed =
      'data: {"type":"response.completed","response":{"model":"g-1","usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":3}}}\n\n';
    const expected = {
      model: 'g-1',
      inputTokens: 5,
      outputTokens: 3,
      cacheReadTokens: 4,
      cacheWriteTokens: 0,
    };
    expect(read('openai', 'text/event-stream', completed)).toEqual(expected);
    const chat =
      '{"model":"g-1","usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens":3}}';
    expect(read('openai', 'application/json', chat)).toEqual(expected);
    const google =
      '{"modelVersion":"g-1","usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":1}}';
    expect(read('google', 'application/json', google)).toEqual(expected);
    expect(read('openai', 'application/json', '{"error":{}}')).toBeUndefined();
    expect(read('openai', 'application/json', 'rubbish "usage":{')).toBeUndefined();
  });
});
