import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  EMPTY_SUMMARY,
  EventFormat,
  RunSummary,
  SESSION_ID,
  type TaskEvent,
} from '../../../src/runtime/transcript/contract.ts';
import { parseEvents } from '../../../src/runtime/transcript/parse-events.ts';
import { renderEvent } from '../../../src/runtime/transcript/render.ts';
import { addEvent } from '../../../src/runtime/transcript/run-summary.ts';

const fixtures = path.resolve(import.meta.dirname, '../../fixtures/transcripts');
const lines = readdirSync(fixtures).flatMap((name) =>
  readFileSync(path.join(fixtures, name), 'utf8').trimEnd().split('\n'),
);
const formats = EventFormat.options;
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]/;

/** Half of a character. */
const LONE = /\p{Surrogate}/u;

/** What holds of every event, whatever was printed. Collected: an assertion a value would take minutes. */
function expectBounded(events: readonly TaskEvent[]): void {
  const wrong = events.filter((event) => {
    const texts = Object.values(event)
      .flat()
      .filter((value) => typeof value === 'string');
    const isClean = texts.every((text) => text.length <= 16_100 && !UNSAFE.test(text) && !LONE.test(text));
    const isShort = !('tool' in event) || event.tool.length <= 200;
    const isSession = event.kind !== 'session' || SESSION_ID.test(event.id);
    return !isClean || !isShort || !isSession || renderEvent(event).length === 0;
  });
  expect(wrong).toEqual([]);
  expect(events.length).toBeLessThanOrEqual(110);
}

function summaryOf(format: EventFormat, texts: readonly string[]): RunSummary {
  const log = { format, sessionNotFound: 'not found' };
  const events = texts.flatMap((text) => {
    const told = parseEvents(format, { stream: 'stdout', text });
    expectBounded(told);
    return told;
  });
  const summary = events.reduce(
    (sum, event) => addEvent(sum, { ...event, at: '2026-01-02T03:04:05Z' }, log),
    EMPTY_SUMMARY,
  );
  expect(RunSummary.parse(summary)).toEqual(summary);
  expect(JSON.stringify(summary).length).toBeLessThan(200_000);
  return summary;
}

const deep = (levels: number): string => `${'{"a":['.repeat(levels)}1${']}'.repeat(levels)}`;

describe('a hostile line', () => {
  it.each([
    ['no JSON', 'panic: something'],
    ['half of an object', '{"type":"assistant","message":{'],
    ['a list', '[1,2]'],
    ['a text', '"assistant"'],
    ['null', 'null'],
    ['nothing', ''],
    ['an object of something else', '{"level":"info","msg":"x"}'],
    ['a type that is no text', '{"type":{"toString":1}}'],
    [
      'keys of prototypes',
      '{"__proto__":{"type":"result","is_error":true},"constructor":1,"hasOwnProperty":2}',
    ],
    ['a thousand levels', deep(1000)],
    ['a hundred thousand levels', deep(100_000)],
    ['a type of half a megabyte', `{"type":"${'x'.repeat(500_000)}"}`],
  ])('(%s) is text for every format', (_, text) => {
    for (const format of formats) {
      const events = parseEvents(format, { stream: 'stdout', text });
      expect(events.map((event) => event.kind)).toEqual(['text']);
      summaryOf(format, [text]);
    }
  });

  it.each([
    '{"type":"result","subtype":"success","is_error":false,"num_turns":1e400,"total_cost_usd":-1,"usage":{"input_tokens":9007199254740991,"cache_read_input_tokens":9007199254740991,"output_tokens":1.5},"permission_denials":{"length":5}}',
    '{"type":"assistant","message":{"content":"text"}}',
    '{"type":"assistant","message":{"content":[null,1,[],{"type":"tool_use","id":{},"name":[],"input":null}]}}',
    `{"type":"assistant","message":{"content":[{"type":"tool_use","id":"x","name":"${'n'.repeat(9999)}","input":${deep(5000)}}]}}`,
    `{"type":"assistant","message":{"content":[${Array.from({ length: 30_000 }, () => '{"type":"text","text":"x"}').join(',')}]}}`,
    `{"type":"turn.completed","usage":{"input_tokens":9007199254740991,"output_tokens":"5"}}`,
    `{"type":"item.completed","item":{"type":"command_execution","exit_code":"0","aggregated_output":${JSON.stringify('\u001b]0;x\u0007'.repeat(90_000))}}}`,
    `{"type":"step_finish","sessionID":"--evil","part":{"cost":1e308,"tokens":{"input":9007199254740991,"cache":{"read":9007199254740991}}}}`,
    `{"type":"step_start","sessionID":"--resume=/etc/passwd","part":{}}`,
    `{"type":"thread.started","thread_id":"-c"}`,
    `{"type":"thread.started","thread_id":"a b"}`,
    `{"type":"result","timestamp":"t","sessionId":"../../x","exitCode":"0"}`,
    `{"type":"${'******'.repeat(30_000)}","timestamp":"t","data":{"${'******'.repeat(1000)}":1}}`,
    `{"type":"message","timestamp":"t","role":"assistant","content":${JSON.stringify('\u202ereversed\ud800')},"delta":true}`,
  ])('of the right shape with wrong values gives bounded, clean events: %.60s', (text) => {
    for (const format of formats)
      summaryOf(
        format,
        Array.from({ length: 5 }, () => text),
      );
  });

  it('on the error stream is text, whatever it looks like', () => {
    const [event] = parseEvents('codex', { stream: 'stderr', text: '{"type":"turn.completed","usage":{}}' });
    expect(event).toMatchObject({ kind: 'text', stream: 'stderr' });
  });

  it('that was too long says how much of it is missing', () => {
    const [event] = parseEvents('claude', { stream: 'stdout', text: '{"type":"assist', leftOut: 5_000_000 });
    expect(event).toEqual({
      kind: 'text',
      stream: 'stdout',
      text: '{"type":"assist… (5000000 bytes left out)',
    });
  });

  it('with half a character at the cut stays whole', () => {
    const text = JSON.stringify({
      type: 'item.completed',
      item: { type: 'agent_message', text: '😀'.repeat(20_000) },
    });
    expectBounded(parseEvents('codex', { stream: 'stdout', text }));
  });
});

describe('real lines, mutated', () => {
  /** Reproducible: the same numbers at every run. */
  function* numbers(seed: number): Generator<number, never> {
    for (let state = seed; ; ) {
      state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
      yield state;
    }
  }
  const junk = [
    'null',
    '[]',
    '{}',
    '-1',
    '1e999',
    '"\\ud800"',
    'true',
    '"',
    '{',
    ']',
    '\\u202e',
    '\u0000',
    '******',
  ];

  it('never throw and always come to a summary that can be stored', () => {
    const random = numbers(42);
    const below = (limit: number): number => random.next().value % Math.max(1, limit);
    for (let round = 0; round < 3000; round += 1) {
      let text = lines[below(lines.length)] ?? '';
      for (let edits = 1 + below(4); edits > 0; edits -= 1) {
        const at = below(text.length);
        const piece = junk[below(junk.length)] ?? '';
        text = `${text.slice(0, at)}${piece}${text.slice(at + below(12))}`;
      }
      summaryOf(formats[below(formats.length)] ?? 'text', [text]);
    }
  });

  it('with one value exchanged for another of any type do neither', () => {
    const random = numbers(7);
    const below = (limit: number): number => random.next().value % Math.max(1, limit);
    const values = [null, 0, -5, 1e308, 'x', '', true, [], {}, [[]], { text: 1 }, 'y'.repeat(20_000)];
    const mutate = (value: unknown): unknown => {
      if (below(12) === 0) return values[below(values.length)];
      if (Array.isArray(value)) return value.map(mutate);
      if (typeof value === 'object' && value !== null)
        return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, mutate(inner)]));
      return value;
    };
    for (let round = 0; round < 1000; round += 1) {
      const text = lines[below(lines.length)] ?? '';
      if (!text.startsWith('{')) continue;
      const mutated = JSON.stringify(mutate(JSON.parse(text)));
      for (const format of formats) summaryOf(format, [mutated]);
    }
  });
});
