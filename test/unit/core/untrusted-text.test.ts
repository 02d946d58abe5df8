import { describe, expect, it } from 'vitest';
import { cleanLine, cleanTail, cleanText } from '../../../src/runtime/core/untrusted-text.ts';

describe('text from outside', () => {
  it.each([
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007after', 'after'],
    ['\u001b]8;;http://evil\u001b\\link', 'link'],
    ['a\u0000b', 'a\\u{0}b'],
    ['bell\u0007', 'bell\\u{7}'],
    ['one\rtwo', 'one\\u{d}two'],
    ['crlf\r\nline', 'crlf\nline'],
    ['abc\u202edef', 'abc\\u{202e}def'],
    ['zero\u200bwidth', 'zero\\u{200b}width'],
    ['\u009b31m', '\\u{9b}31m'],
    ['\ud800', '\\u{d800}'],
    ['tag\u{e0041}', 'tag\\u{e0041}'],
    ['selector\u{e0100}', 'selector\\u{e0100}'],
    ['plain ä € 😀 text', 'plain ä € 😀 text'],
  ])('%j is shown as %j', (text, shown) => {
    expect(cleanText(text)).toBe(shown);
  });

  it('is one bounded line where a line is wanted', () => {
    expect(cleanLine('a\nb', 10)).toBe('a\\nb');
    expect(cleanLine('x'.repeat(30), 10)).toBe(`${'x'.repeat(10)}… (20 more)`);
  });

  it('keeps its end where only so much fits', () => {
    expect(cleanTail(`${'x'.repeat(5000)}the cause`, 20).endsWith('the cause')).toBe(true);
    expect(cleanTail('y'.repeat(5000), 20)).toHaveLength(21);
  });
});
