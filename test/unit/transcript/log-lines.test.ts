import { appendFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { LineRequest, TaskLog } from '../../../src/runtime/transcript/contract.ts';
import { LogTranscripts } from '../../../src/runtime/transcript/log-transcripts-loader.ts';
import { entry, logFile } from '../../support/container-log.ts';

const transcripts = new LogTranscripts();
const page = (file: string, change: Partial<LineRequest> & Partial<TaskLog> = {}) =>
  transcripts.lines(
    { file, format: 'text', sessionNotFound: undefined, hasEnded: false, ...change },
    { cursor: undefined, tail: 50, maxChars: 8_000, contains: undefined, raw: true, ...change },
  );

describe('a line of a container', () => {
  it('is joined from its parts and cleaned', async () => {
    const text =
      entry('one ', 'P') + entry('other', 'F', 'stderr') + entry('line', 'F') + entry('\u001b[31mred\u202e');
    expect((await page(logFile('parts', text))).lines).toEqual(['other', 'one line', 'red\\u{202e}']);
  });

  it('is joined byte by byte: a part may end within a character', async () => {
    const text = Buffer.from('grün 😀');
    const parts = [...text].map((byte) =>
      Buffer.concat([Buffer.from(entry('', 'P').slice(0, -1)), Buffer.from([byte, 10])]),
    );
    const log = logFile('bytes', Buffer.concat([...parts, Buffer.from(entry(''))]));
    expect((await page(log)).lines).toEqual(['grün 😀']);
  });

  it('of a terminal is like any other', async () => {
    const text = entry('>> init complete\r') + entry('bold', 'P') + entry(' end\r');
    expect((await page(logFile('terminal', text))).lines).toEqual(['>> init complete', 'bold end']);
  });

  it('that is unfinished is left for the next read, and is one when the log has ended', async () => {
    const log = logFile('half', `${entry('done')}${entry('half').slice(0, -1)}`);
    const first = await page(log, { cursor: 0 });
    expect(first).toEqual({ lines: ['done'], nextCursor: entry('done').length, isComplete: false });
    const last = await page(log, { cursor: first.nextCursor, hasEnded: true });
    expect(last).toMatchObject({ lines: ['half'], isComplete: true });
    expect(await page(log, { cursor: last.nextCursor, hasEnded: true })).toMatchObject({
      lines: [],
      isComplete: true,
    });
  });

  it('whose last part never came is told once, when the log has ended', async () => {
    const log = logFile('open', entry('done') + entry('Continue? [y/N] ', 'P'));
    const first = await page(log, { cursor: 0 });
    expect(first.lines).toEqual(['done']);
    const last = await page(log, { cursor: first.nextCursor, hasEnded: true });
    expect(last.lines).toEqual(['Continue? [y/N] ']);
    expect((await page(log, { cursor: last.nextCursor, hasEnded: true })).lines).toEqual([]);
  });

  it('is cut when it is a megabyte long', async () => {
    const [line] = (await page(logFile('megabyte', entry('x'.repeat(1_000_000))))).lines;
    expect(line?.length).toBeLessThan(4_100);
  });
});

describe('reading a log', () => {
  it('of a task that has none yet is empty', async () => {
    expect(await page('/nonexistent')).toEqual({ lines: [], nextCursor: 0, isComplete: false });
  });

  it('starts with the tail and goes on from its cursor, losing and repeating nothing', async () => {
    const log = logFile('tail', Array.from({ length: 100 }, (_, index) => entry(`line ${index}`)).join(''));
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

  it('that was cut off in the middle of a line tells it once, before the next start', async () => {
    const before = entry('>> cloning x') + entry('half a l', 'P') + entry('also ha', 'P', 'stderr');
    const log = logFile('cut-off', before);
    const ended = await page(log, { cursor: 0, hasEnded: true });
    expect(ended.lines).toEqual(['>> cloning x', 'half a l', 'also ha']);
    appendFileSync(log, entry('>> fetching') + entry('again'));
    expect((await page(log, { cursor: ended.nextCursor })).lines).toEqual(['>> fetching', 'again']);
    const read = await page(log, { cursor: 0 });
    expect(read.lines).toEqual(['>> cloning x', 'half a l', 'also ha', '>> fetching', 'again']);
  });

  it('tells what was cut off to whoever had read on another stream meanwhile', async () => {
    const before = entry('half a l', 'P', 'stderr') + entry('told');
    const log = logFile('cut-off-beside', before);
    const { nextCursor } = await page(log, { cursor: 0 });
    appendFileSync(log, entry('>> fetching'));
    expect((await page(log, { cursor: nextCursor })).lines).toEqual(['half a l', '>> fetching']);
  });

  it('never answers more than it may, however few of the characters fit', async () => {
    const message = JSON.stringify({
      type: 'item.completed',
      item: { type: 'agent_message', text: `FIRST\n${'y'.repeat(3_000)}` },
    });
    const log = logFile('page-fit', entry('>> init complete') + entry(message));
    for (let maxChars = 500; maxChars < 560; maxChars += 1) {
      const { lines } = await page(log, { cursor: 0, maxChars, raw: false, format: 'codex' });
      expect(lines).toEqual(['>> init complete']);
      const next = await page(log, {
        cursor: entry('>> init complete').length,
        maxChars,
        raw: false,
        format: 'codex',
      });
      expect(next.lines[0]).toBe('FIRST');
      expect(next.lines.at(-1)).toMatch(/^y+… \(2\d{3} more characters\)$/);
      expect(next.lines.join('\n').length).toBeLessThanOrEqual(maxChars);
    }
  });

  it('does not read the parts of a line without end again and again', async () => {
    const dot = entry('.', 'P', 'stderr');
    const log = logFile('dots', entry('told') + dot.repeat(200_000));
    const { nextCursor } = await page(log, { cursor: entry('told').length });
    expect(nextCursor).toBeGreaterThan(4_000_000);
    appendFileSync(log, entry('', 'F', 'stderr') + entry('after'));
    const rest = await page(log, { cursor: nextCursor });
    expect(rest.lines.at(-1)).toBe('after');
    expect(rest.lines).toHaveLength(2);
  });

  it('in pages gives every line once', async () => {
    const all = Array.from({ length: 3_000 }, (_, index) => `line ${index} ${'y'.repeat(index % 50)}`);
    const log = logFile('pages', all.map((line) => entry(line)).join(''));
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
    const log = logFile('huge', entry('z'.repeat(200)).repeat(400_000));
    const startedAt = performance.now();
    const last = await page(log, { tail: 500 });
    expect(last.lines.join('\n').length).toBeLessThanOrEqual(8_000);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('starts over when the log was rotated under the cursor', async () => {
    const log = logFile('rotated', entry('fresh'));
    expect((await page(log, { cursor: 1_000_000 })).lines).toEqual(['fresh']);
  });

  it('keeps only the lines asked for', async () => {
    const log = logFile('contains', entry('yes 1') + entry('no') + entry('yes 2'));
    expect((await page(log, { contains: 'yes' })).lines).toEqual(['yes 1', 'yes 2']);
    expect((await page(log, { cursor: 0, contains: 'yes' })).lines).toEqual(['yes 1', 'yes 2']);
  });

  it.each([8_000, 200_000])(
    'goes past a line that was logged in many parts, %i characters a page',
    async (maxChars) => {
      const parts = Array.from({ length: 40 }, () => entry('x'.repeat(8_191), 'P')).join('');
      const log = logFile(`parts-${maxChars}`, `${entry('before')}${parts}${entry('end')}${entry('AFTER')}`);
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
    const log = logFile('long', entry('w'.repeat(700_000)) + entry('after'));
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

describe('a log of events', () => {
  const ready = entry('>> cloning http://localhost:9418/demo.git') + entry('>> init complete');
  const said = (text: string) =>
    entry(JSON.stringify({ type: 'item.completed', item: { type: 'agent_message', text } }));
  const readable = (log: string, change: Partial<LineRequest> & Partial<TaskLog> = {}) =>
    page(log, { format: 'codex', raw: false, ...change });

  it('is shown as what it means, or as it was printed', async () => {
    const log = logFile('meaning', ready + said('one\ntwo') + entry('oops', 'F', 'stderr'));
    expect((await readable(log)).lines).toEqual([
      '>> cloning http://localhost:9418/demo.git',
      '>> init complete',
      'one',
      'two',
      'oops',
    ]);
    expect((await page(log)).lines[2]).toContain('{"type":"item.completed"');
  });

  it('in pages gives every line once, with the same cursors as its raw lines', async () => {
    const all = Array.from({ length: 500 }, (_, index) => `message ${index} ${'z'.repeat(index % 60)}`);
    const log = logFile('event-pages', ready + all.map(said).join(''));
    const seen: string[] = [];
    for (let cursor = 0, isComplete = false; !isComplete; ) {
      const next = await readable(log, { cursor, maxChars: 700, hasEnded: true });
      expect(next.lines.join('\n').length).toBeLessThanOrEqual(700);
      seen.push(...next.lines);
      ({ nextCursor: cursor, isComplete } = next);
    }
    expect(seen.slice(2)).toEqual(all);
  });

  it('has a tail of readable lines', async () => {
    const log = logFile('event-tail', ready + said('first') + said('a\nb\nc'));
    const { lines, nextCursor } = await readable(log, { tail: 2 });
    expect(lines).toEqual(['b', 'c']);
    appendFileSync(log, said('later'));
    expect((await readable(log, { cursor: nextCursor })).lines).toEqual(['later']);
  });

  it('is searched by what it means', async () => {
    const log = logFile('event-search', ready + said('the needle') + said('hay'));
    expect((await readable(log, { contains: 'needle' })).lines).toEqual(['the needle']);
    expect((await readable(log, { contains: 'item.completed' })).lines).toEqual([]);
  });

  it('cuts one message that is larger than the page, and says so', async () => {
    const log = logFile('event-large', ready + said('m'.repeat(3_000)) + said('next'));
    const first = await readable(log, { cursor: Buffer.byteLength(ready), maxChars: 1_000 });
    expect(first.lines.join('\n')).toMatch(/^m{900,}… \(\d+ more characters\)$/);
    expect((await readable(log, { cursor: first.nextCursor })).lines).toEqual(['next']);
  });
});
