import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { formsOf } from '../../../src/runtime/vault/scan/secret-forms.ts';
import { type Find, SecretMatcher } from '../../../src/runtime/vault/scan/secret-matcher.ts';

const VALUE = `sk-ant-oat01-${'Zm9v+YmFy/1234567890abcdefghijklmnop'}`;
const matcherOf = (...values: readonly string[]) =>
  new SecretMatcher(values.map((value, index) => ({ provider: `p${index}`, secret: new Secret(value) })));

function search(matcher: SecretMatcher, text: Uint8Array, chunkBytes: number): readonly Find[] {
  const { push } = matcher.begin();
  const finds: Find[] = [];
  for (let at = 0; at < text.length; at += chunkBytes)
    finds.push(...push(text.subarray(at, at + chunkBytes)));
  return finds;
}

describe('a search for secrets', () => {
  it('finds one at any place, however the text is cut into pieces', () => {
    const matcher = matcherOf(VALUE);
    const before = randomBytes(301);
    const text = Buffer.concat([before, Buffer.from(VALUE), randomBytes(17)]);
    for (let size = 1; size < 64; size++)
      expect(search(matcher, text, size), `pieces of ${size}`).toEqual([{ provider: 'p0', offset: 301 }]);
  });

  it('does not rely on a piece after it was pushed, for its buffer is used again', () => {
    const { push } = matcherOf(VALUE).begin();
    const buffer = Buffer.from(VALUE.slice(0, 20));
    expect(push(buffer)).toEqual([]);
    buffer.fill(0);
    expect(push(Buffer.from(VALUE.slice(20)))).toEqual([{ provider: 'p0', offset: 0 }]);
  });

  it('tells secrets apart that begin or end alike, and finds each of several', () => {
    const ending = 'the-same-ending-of-both';
    const [a, b] = [`first-${ending}`, `another-${ending}`];
    const text = Buffer.from(`${b} ${VALUE} ${a} ${a.slice(0, -1)}`);
    const found = search(matcherOf(a, b, VALUE), text, 7).map(({ provider }) => provider);
    expect(found).toEqual(['p1', 'p2', 'p0']);
  });

  it('says nothing of a text that differs in one character anywhere', () => {
    const matcher = matcherOf(VALUE);
    for (let at = 0; at < VALUE.length; at++) {
      const other = `${VALUE.slice(0, at)}~${VALUE.slice(at + 1)}`;
      expect(search(matcher, Buffer.from(`x${other}x`), 1000)).toEqual([]);
    }
  });

  it('finds nothing in a gigabyte-like mass of text without secrets, phantoms with their beginning included', () => {
    const phantom = `sk-ant-oat01-terokp${'0123456789abcdef'.repeat(4)}`;
    const matcher = matcherOf(
      ...Array.from({ length: 30 }, () => randomBytes(40).toString('base64url')),
      VALUE,
    );
    const text = Buffer.from(`${phantom}\n`.repeat(1000) + randomBytes(2_000_000).toString('base64'));
    expect(search(matcher, text, 65_536)).toEqual([]);
  });

  it.each([
    ['Basic authorization', Buffer.from(`x-access-token:${VALUE}`).toString('base64')],
    ['base64, one byte on', Buffer.from(`:${VALUE}@`).toString('base64')],
    ['base64, two bytes on', Buffer.from(`ab${VALUE}cde`).toString('base64')],
    ['base64 for URLs', Buffer.from(`abc${VALUE}`).toString('base64url')],
    ['a query', `?key=${encodeURIComponent(VALUE)}&x`],
    ['a query in lower case', encodeURIComponent(VALUE).replaceAll('%2B', '%2b').replaceAll('%2F', '%2f')],
    ['hexadecimal', Buffer.from(VALUE).toString('hex')],
    ['JSON of PHP', VALUE.replaceAll('/', '\\/')],
  ])('finds it as %s', (_how, text) => {
    expect(search(matcherOf(VALUE), Buffer.from(`...${text}...`), 11)).toMatchObject([{ provider: 'p0' }]);
  });

  it('finds it in the wide characters of a file of Windows', () => {
    expect(search(matcherOf(VALUE), Buffer.from(`..${VALUE}..`, 'utf16le'), 9)).toMatchObject([
      { offset: 4 },
    ]);
  });

  it('knows each of the three places that base64 may put it to, whatever stands around', () => {
    for (let before = 0; before < 6; before++)
      for (let behind = 0; behind < 6; behind++) {
        const whole = Buffer.concat([randomBytes(before), Buffer.from(VALUE), randomBytes(behind)]);
        const text = whole.toString('base64');
        expect(formsOf(VALUE).some((form) => text.includes(form.toString('latin1')))).toBe(true);
      }
  });

  it('leaves out what is too short to be told from words, and says whose it was', () => {
    const matcher = matcherOf('short', 'eleven-char', VALUE);
    expect(matcher.leftOut).toEqual(['p0', 'p1']);
    expect(search(matcher, Buffer.from('short eleven-char'), 100)).toEqual([]);
  });

  it('holds no secret that could be printed', () => {
    const shown = inspect(matcherOf(VALUE), { depth: 10, showHidden: true, maxArrayLength: null });
    expect(shown).not.toContain(VALUE.slice(15, 30));
  });

  it('takes hardly longer for fifty secrets than for one', () => {
    const text = Buffer.from(randomBytes(6_000_000).toString('base64'));
    const timeFor = (count: number): number => {
      const matcher = matcherOf(
        ...Array.from({ length: count }, (_, index) => randomBytes(30 + index).toString('base64url')),
      );
      const times = [1, 2, 3].map(() => {
        const startedMs = performance.now();
        search(matcher, text, 262_144);
        return performance.now() - startedMs;
      });
      return Math.min(...times);
    };
    timeFor(1);
    expect(timeFor(50) / timeFor(1)).toBeLessThan(4);
  });
});
