import { expect, test } from 'vitest';
import { BoundedLines } from '../../../src/server/bounded-lines.ts';

function collect(maxBytes: number) {
  const lines: string[] = [];
  const oversized: Array<{ readonly head: string; readonly tail: string }> = [];
  const reader = new BoundedLines({
    maxBytes,
    onLine: (line) => lines.push(line),
    onOversized: (line) => oversized.push(line),
  });
  return { reader, lines, oversized };
}

test('lines come out whole however the bytes come in', () => {
  const text = Buffer.from('first\r\n\nzwölf\nthird\n');
  for (let size = 1; size <= text.length; size++) {
    const { reader, lines } = collect(100);
    for (let at = 0; at < text.length; at += size) reader.push(text.subarray(at, at + size));
    expect(lines).toEqual(['first', 'zwölf', 'third']);
  }
});

test('a line at the limit passes, one byte more is dropped with its ends kept, and the next line is whole', () => {
  const { reader, lines, oversized } = collect(1000);
  reader.push(Buffer.from(`${'a'.repeat(1000)}\n`));
  reader.push(Buffer.from(`head${'b'.repeat(5000)}`));
  reader.push(Buffer.from(`${'c'.repeat(5000)}tail\nnext\n`));
  expect(lines).toEqual(['a'.repeat(1000), 'next']);
  expect(oversized).toHaveLength(1);
  expect(oversized[0]?.head.startsWith('headb')).toBe(true);
  expect(oversized[0]?.tail.endsWith('ctail')).toBe(true);
});

test('an endless line costs no more memory than its limit', () => {
  const { reader, oversized } = collect(1024);
  const before = process.memoryUsage().arrayBuffers;
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  for (let index = 0; index < 500; index++) reader.push(chunk);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 1024 * 1024);
  reader.push(Buffer.from('end\n'));
  expect(oversized[0]?.tail.endsWith('xend')).toBe(true);
});
