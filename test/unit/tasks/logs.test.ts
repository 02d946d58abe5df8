import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseContainerLog } from '../../../src/runtime/tasks/container-log.ts';
import { findReadyMarker, loadLogPage } from '../../../src/runtime/tasks/task-log-loader.ts';

const directory = mkdtempSync('/tmp/tk-log-');
afterAll(() => rmSync(directory, { recursive: true }));
const time = '2026-01-02T03:04:05.678901234+00:00';
const entry = (text: string, kind = 'F', stream = 'stdout') => `${time} ${stream} ${kind} ${text}\n`;
const file = (name: string, content: string): string => {
  const name_ = path.join(directory, name);
  writeFileSync(name_, content);
  return name_;
};
const page = (name: string, change: Partial<Parameters<typeof loadLogPage>[0]> = {}) =>
  loadLogPage({
    file: name,
    cursor: undefined,
    tail: 50,
    maxChars: 8_000,
    contains: undefined,
    hasEnded: false,
    ...change,
  });

describe('a container log', () => {
  it('joins the parts of a long line and cleans every line', () => {
    const text =
      entry('one ', 'P') + entry('other', 'F', 'stderr') + entry('line', 'F') + entry('\u001b[31mred\u202e');
    expect(parseContainerLog(Buffer.from(text), { isFinal: false }).lines).toEqual([
      'other',
      'one line',
      'red\\u{202e}',
    ]);
  });

  it('of a terminal has lines like any other', () => {
    const text = entry('>> init complete\r') + entry('bold', 'P') + entry(' end\r');
    expect(parseContainerLog(Buffer.from(text), { isFinal: false }).lines).toEqual([
      '>> init complete',
      'bold end',
    ]);
  });

  it('leaves an unfinished line for the next read', () => {
    const text = Buffer.from(`${entry('done')}${time} stdout F half`);
    expect(parseContainerLog(text, { isFinal: false })).toEqual({
      lines: ['done'],
      consumed: entry('done').length,
    });
    expect(parseContainerLog(text, { isFinal: true }).lines).toEqual(['done', 'half']);
  });

  it('cuts a line of a megabyte', () => {
    const [line] = parseContainerLog(Buffer.from(entry('x'.repeat(1_000_000))), { isFinal: false }).lines;
    expect(line?.length).toBeLessThan(4_100);
  });
});

describe('reading a log', () => {
  it('of a task that has none yet is empty', async () => {
    expect(await page('/nonexistent')).toEqual({ lines: [], nextCursor: 0, isComplete: false });
  });

  it('starts with the tail and goes on from its cursor, losing and repeating nothing', async () => {
    const log = file('tail', Array.from({ length: 100 }, (_, index) => entry(`line ${index}`)).join(''));
    const first = await page(log, { tail: 2 });
    expect(first.lines).toEqual(['line 98', 'line 99']);
    appendFileSync(log, entry('line 100'));
    const second = await page(log, { cursor: first.nextCursor });
    expect(second).toMatchObject({ lines: ['line 100'], isComplete: false });
    expect(await page(log, { cursor: second.nextCursor, hasEnded: true })).toMatchObject({
      lines: [],
      isComplete: true,
    });
  });

  it('in pages gives every line once', async () => {
    const all = Array.from({ length: 3_000 }, (_, index) => `line ${index} ${'y'.repeat(index % 50)}`);
    const log = file('pages', all.map((line) => entry(line)).join(''));
    const seen: string[] = [];
    let cursor = 0;
    for (let pages = 0; pages < 1_000; pages += 1) {
      const next = await page(log, { cursor, maxChars: 1_000, hasEnded: true });
      seen.push(...next.lines);
      expect(next.lines.join('\n').length).toBeLessThanOrEqual(1_100);
      cursor = next.nextCursor;
      if (next.isComplete) break;
    }
    expect(seen).toEqual(all);
  });

  it('of a hundred megabytes returns a bounded answer', async () => {
    const log = file('huge', entry('z'.repeat(200)).repeat(400_000));
    const startedAt = performance.now();
    const last = await page(log, { tail: 500 });
    expect(last.lines.join('\n').length).toBeLessThanOrEqual(8_000);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('starts over when the log was rotated under the cursor', async () => {
    const log = file('rotated', entry('fresh'));
    expect((await page(log, { cursor: 1_000_000 })).lines).toEqual(['fresh']);
  });

  it('keeps only the lines asked for', async () => {
    const log = file('contains', entry('yes 1') + entry('no') + entry('yes 2'));
    expect((await page(log, { contains: 'yes' })).lines).toEqual(['yes 1', 'yes 2']);
    expect((await page(log, { cursor: 0, contains: 'yes' })).lines).toEqual(['yes 1', 'yes 2']);
  });

  it.each([8_000, 200_000])(
    'goes past a line that was logged in many parts, %i characters a page',
    async (maxChars) => {
      const parts = Array.from({ length: 40 }, () => entry('x'.repeat(8_191), 'P')).join('');
      const log = file(`parts-${maxChars}`, `${entry('before')}${parts}${entry('end')}${entry('AFTER')}`);
      const seen: string[] = [];
      let cursor = 0;
      let isComplete = false;
      for (let pages = 0; pages < 200 && !isComplete; pages += 1) {
        const next = await page(log, { cursor, maxChars, hasEnded: true });
        seen.push(...next.lines);
        cursor = next.nextCursor;
        isComplete = next.isComplete;
      }
      expect(isComplete).toBe(true);
      expect(seen[0]).toBe('before');
      expect(seen.at(-1)).toBe('AFTER');
    },
  );

  it('with one entry longer than a chunk still advances', async () => {
    const log = file('long', entry('w'.repeat(700_000)) + entry('after'));
    const seen: string[] = [];
    let cursor = 0;
    for (let pages = 0; pages < 20; pages += 1) {
      const next = await page(log, { cursor, hasEnded: true });
      seen.push(...next.lines);
      cursor = next.nextCursor;
      if (next.isComplete) break;
    }
    expect(seen.at(-1)).toBe('after');
  });
});

describe('the ready marker', () => {
  it('is found across reads, and only as a line of its own', async () => {
    const log = file('ready', entry('cloning'));
    const first = await findReadyMarker(log, 0);
    expect(first.isReady).toBe(false);
    appendFileSync(log, `${time} stdout F >> init`);
    const second = await findReadyMarker(log, first.offset);
    expect(second.isReady).toBe(false);
    appendFileSync(log, ' complete\n');
    expect((await findReadyMarker(log, second.offset)).isReady).toBe(true);
  });
});
