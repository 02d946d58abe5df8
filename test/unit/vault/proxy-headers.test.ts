import { describe, expect, it } from 'vitest';
import type { HeaderPair } from '../../../src/runtime/vault/proxy/header-pairs.ts';
import { CREDENTIAL_HEADERS } from '../../../src/runtime/vault/proxy/presented-tokens.ts';
import { requestHeaders } from '../../../src/runtime/vault/proxy/request-headers.ts';
import { checkPath } from '../../../src/runtime/vault/proxy/request-target.ts';
import { bodyEncoding, responseHeaders } from '../../../src/runtime/vault/proxy/response-headers.ts';

const signature = {
  header: 'X-Own',
  prefix: 'Bearer ',
  extra: { 'x-beta': 'a,b', 'x-plain': 'c' },
  secret: 'real',
};
const head = { host: 'api.example.com', signature, isWebsocket: false, isBodyReplaced: false };

describe('headers that go upstream', () => {
  it("join lists, replace the rest, and keep what is the message's own", () => {
    const pairs: HeaderPair[] = [
      ['HOST', 'localhost'],
      ['X-Beta', 'z, a'],
      ['x-plain', 'mine'],
      ['Accept', '*/*'],
      ['accept', 'text/x'],
      ['TE', 'gzip, trailers'],
      ['Accept-Encoding', 'zstd, gzip;q=0.5, *'],
      ['Connection', 'close, X-Gone'],
      ['x-gone', '1'],
    ];
    expect(requestHeaders(pairs, head)).toEqual([
      ['Host', 'api.example.com'],
      ['Accept', '*/*'],
      ['accept', 'text/x'],
      ['TE', 'trailers'],
      ['Accept-Encoding', 'gzip;q=0.5'],
      ['x-beta', 'z,a,b'],
      ['x-plain', 'c'],
      ['X-Own', 'Bearer real'],
    ]);
  });

  it('carry no credential of the client, whatever it sends', () => {
    let state = 99;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const hops = [
      'connection',
      'keep-alive',
      'te',
      'transfer-encoding',
      'upgrade',
      'proxy-connection',
      'trailer',
    ];
    const names = [
      ...CREDENTIAL_HEADERS,
      ...hops,
      'x-own',
      'host',
      'expect',
      'accept',
      'x-1',
      'content-length',
    ];
    const spell = (name: string): string =>
      [...name].map((letter) => (next(2) === 0 ? letter : letter.toUpperCase())).join('');
    for (let round = 0; round < 2000; round++) {
      const pairs = Array.from({ length: next(12) }, (): HeaderPair => {
        const name = names[next(names.length)] ?? '';
        const value = name === 'connection' ? spell(names[next(names.length)] ?? '') : `phantom${next(9)}`;
        return [spell(name), value];
      });
      const signed = next(4) > 0;
      const sent = requestHeaders(pairs, signed ? head : { ...head, signature: undefined });
      const own = sent.filter(([name]) => name.toLowerCase() === 'x-own');
      expect(signed ? own : []).toEqual(signed ? [['X-Own', 'Bearer real']] : []);
      for (const [name, value] of sent) {
        const lower = name.toLowerCase();
        expect([...CREDENTIAL_HEADERS, ...hops, 'expect']).not.toContain(
          lower === 'te' && value === 'trailers' ? '' : lower,
        );
      }
      expect(sent.filter(([name]) => name.toLowerCase() === 'host')).toEqual([['Host', 'api.example.com']]);
      const named = pairs
        .filter(([name]) => name.toLowerCase() === 'connection')
        .map(([, value]) => value.toLowerCase());
      for (const [name] of sent.slice(1)) {
        if (name !== 'X-Own') expect(named).not.toContain(name.toLowerCase());
      }
    }
  });
});

describe('headers that come back', () => {
  it('lose what was of the connection only', () => {
    const pairs: HeaderPair[] = [
      ['Connection', 'x-a'],
      ['X-A', '1'],
      ['Set-Cookie', 'a'],
      ['set-cookie', 'b'],
      ['Trailer', 'x'],
    ];
    expect(responseHeaders(pairs, { canHaveTrailers: true })).toEqual([
      ['Set-Cookie', 'a'],
      ['set-cookie', 'b'],
      ['Trailer', 'x'],
    ]);
  });

  it('name an encoding that can be read, or nothing passes', () => {
    expect(bodyEncoding([['content-encoding', 'X-GZIP']])).toBe('gzip');
    expect(bodyEncoding([['content-encoding', 'identity']])).toBe('plain');
    for (const value of ['zstd', 'gzip, br', 'x'])
      expect(() => bodyEncoding([['content-encoding', value]])).toThrow();
  });
});

describe('path hygiene by chance', () => {
  it('lets nothing through that decodes to another place', () => {
    let state = 5;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const pieces = [
      '/',
      '.',
      '%2e',
      '%2E',
      '%2f',
      '\\',
      '%5c',
      'a',
      ';',
      '%3b',
      '%25',
      '2e',
      '%00',
      '//',
      '%c0%ae',
      '?',
      'é',
    ];
    let passed = 0;
    for (let round = 0; round < 20_000; round++) {
      const path =
        `/${Array.from({ length: next(7) }, () => pieces[next(pieces.length)]).join('')}`.split('?')[0] ??
        '/';
      const hasEncodedSlashes = next(2) === 0;
      try {
        checkPath(path, { hasEncodedSlashes });
      } catch {
        continue;
      }
      passed += 1;
      const latin = (text: string): string =>
        text.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
      const once = latin(path);
      const resolved = new URL(`https://x${path.replace(/%2f/gi, '/')}`).pathname;
      expect(resolved.split('/').length, path).toBe(path.replace(/%2f/gi, '/').split('/').length);
      for (const text of [once, latin(once)]) {
        expect(
          text.split('/').some((segment) => /^\.\.?(;|$)/.test(segment)),
          path,
        ).toBe(false);
        expect(text, path).not.toMatch(/[\\\u0000]/);
      }
    }
    expect(passed).toBeGreaterThan(500);
  });
});
