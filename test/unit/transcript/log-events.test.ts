import { appendFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  EMPTY_SUMMARY,
  type EventFormat,
  type RunSummary,
  type TimedEvent,
} from '../../../src/runtime/transcript/contract.ts';
import { LogTranscripts } from '../../../src/runtime/transcript/log-transcripts-loader.ts';
import { entry, logFile } from '../../support/container-log.ts';

const transcripts = new LogTranscripts();
const log = (file: string, hasEnded = false, format: EventFormat = 'codex') => ({
  file,
  format,
  sessionNotFound: 'no rollout found',
  hasEnded,
});
const STARTED = entry('>> cloning http://localhost:9418/demo.git') + entry('>> init complete');
const RESTARTED = entry('>> fetching') + entry('>> init complete');
const json = (text: string) =>
  JSON.stringify({ type: 'item.completed', item: { type: 'agent_message', text } });
const said = (text: string) => entry(json(text));
/** As conmon writes what does not fit its buffer. */
const inParts = (text: string, size = 8_191) =>
  `${(text.match(new RegExp(`.{1,${size}}`, 'gs')) ?? []).map((part) => entry(part, 'P')).join('')}${entry('')}`;
const told = (events: readonly TimedEvent[]) =>
  events.map((event) =>
    event.kind === 'message' || event.kind === 'text' ? `${event.kind}:${event.text}` : event.kind,
  );

async function readAll(file: string, maxEvents: number, from = 0): Promise<readonly TimedEvent[]> {
  const events: TimedEvent[] = [];
  for (let cursor = from, isComplete = false; !isComplete; ) {
    const page = await transcripts.events(log(file, true), { cursor, maxEvents });
    expect(page.isComplete || page.nextCursor > cursor).toBe(true);
    events.push(...page.events);
    ({ nextCursor: cursor, isComplete } = page);
  }
  return events;
}

describe('events of a log', () => {
  it('of a task that has none yet are none', async () => {
    expect(await transcripts.events(log('/nonexistent'), { cursor: 0, maxEvents: 9 })).toEqual({
      events: [],
      nextCursor: 0,
      isComplete: false,
    });
  });

  it("are the agent's only after the workspace was ready, and carry Podman's time", async () => {
    const file = logFile('ready', said('forged by a hook') + STARTED + said('hello'));
    const { events } = await transcripts.events(log(file), { cursor: 0, maxEvents: 99 });
    expect(told(events)).toEqual([
      `text:${json('forged by a hook')}`,
      'text:>> cloning http://localhost:9418/demo.git',
      'text:>> init complete',
      'message:hello',
    ]);
    expect(events[0]?.at).toBe('2026-01-02T03:04:05.678901234+00:00');
  });

  it('are so again after every further start, from any cursor', async () => {
    const file = logFile('again', STARTED + said('one') + RESTARTED + said('two'));
    const offset = statSync(file).size;
    appendFileSync(file, entry('>> fetching') + said('not yet') + entry('>> init complete') + said('three'));
    const { events } = await transcripts.events(log(file), { cursor: offset, maxEvents: 99 });
    expect(told(events).at(1)).toBe(`text:${json('not yet')}`);
    expect(told(events).at(-1)).toBe('message:three');
    const cursors = [...Array(statSync(file).size + 1).keys()].filter((at) => at % 7 === 0);
    for (const cursor of cursors) {
      const page = await transcripts.events(log(file, true), { cursor, maxEvents: 99 });
      expect(told(page.events)).not.toContain('message:not yet');
    }
  });

  it('are known from a cursor far behind the start', async () => {
    const file = logFile('far', STARTED + said('x'.repeat(500)).repeat(1_000));
    const { events } = await transcripts.events(log(file), {
      cursor: Math.floor(statSync(file).size / 2),
      maxEvents: 5,
    });
    expect(events.every((event) => event.kind === 'message')).toBe(true);
  });

  it.each([1, 7, 1_000])(
    'come each once, %i at a time, lines in many parts among them',
    async (maxEvents) => {
      const texts = Array.from({ length: 60 }, (_, index) => `${index} ${'é😀'.repeat((index % 5) * 2_000)}`);
      const content = texts.map((text, index) =>
        index % 2 === 0 ? inParts(json(text)) : said(text) + entry(`noise ${index}`, 'F', 'stderr'),
      );
      const file = logFile(`once-${maxEvents}`, STARTED + content.join(''));
      const messages = (await readAll(file, maxEvents)).filter((event) => event.kind === 'message');
      expect(messages.map((event) => event.text.slice(0, 30))).toEqual(
        texts.map((text) => text.slice(0, 30)),
      );
    },
  );

  it('are whole though another stream printed between the parts of a line, read at every moment', async () => {
    const whole =
      STARTED +
      entry(json('joined').slice(0, 20), 'P') +
      entry('between', 'F', 'stderr') +
      entry(json('joined').slice(20)) +
      said('end');
    const file = logFile('moments', '');
    const seen: string[] = [];
    let cursor = 0;
    for (let at = 0; at < whole.length; at += 11) {
      appendFileSync(file, whole.slice(at, at + 11));
      const page = await transcripts.events(log(file), { cursor, maxEvents: 99 });
      seen.push(...told(page.events));
      cursor = page.nextCursor;
    }
    expect(seen.slice(2)).toEqual(['text:between', 'message:joined', 'message:end']);
  });

  it('are not glued to what a killed start left unfinished', async () => {
    const file = logFile('killed', STARTED + entry('{"type":"item.comp', 'P') + RESTARTED + said('after'));
    expect(told(await readAll(file, 99)).slice(2)).toEqual([
      'text:{"type":"item.comp',
      'text:>> fetching',
      'text:>> init complete',
      'message:after',
    ]);
  });

  it('do not come from a line of twenty megabytes, of which the beginning is told, and how much is missing', async () => {
    const file = logFile('long', STARTED + inParts(json('x'.repeat(20_000_000))) + said('after'));
    const events = await readAll(file, 99);
    expect(events.every((event) => event.kind !== 'text' || event.text.length < 17_000)).toBe(true);
    expect(told(events).at(-1)).toBe('message:after');
    expect(told(events).join('\n')).toMatch(/\(\d{7,} bytes left out\)/);
  });

  it('start over when the log is shorter than the cursor', async () => {
    const file = logFile('rotated', STARTED + said('fresh'));
    const { events } = await transcripts.events(log(file), { cursor: 1_000_000, maxEvents: 99 });
    expect(told(events).at(-1)).toBe('message:fresh');
  });
});

describe('the summary of a run', () => {
  const thread = entry('{"type":"thread.started","thread_id":"01a1fb29"}');
  const done = entry(
    '{"type":"turn.completed","usage":{"input_tokens":5,"cached_input_tokens":0,"output_tokens":2}}',
  );

  it('is the same from the whole log as from what a follower saw, and knows nothing of the run before', async () => {
    const before = STARTED + said('old') + entry('{"type":"turn.failed","error":{"message":"old error"}}');
    const run = RESTARTED + thread + said('new') + done;
    const file = logFile('summary', before);
    let cursor = statSync(file).size;
    let followed: RunSummary = EMPTY_SUMMARY;
    for (let at = 0; at < run.length; at += 40) {
      appendFileSync(file, run.slice(at, at + 40));
      const page = await transcripts.events(log(file), { cursor, maxEvents: 2 });
      followed = transcripts.fold(followed, page.events, log(file));
      cursor = page.nextCursor;
    }
    const rest = await transcripts.events(log(file, true), { cursor, maxEvents: 99 });
    followed = transcripts.fold(followed, rest.events, log(file));
    const summary = await transcripts.summarize(log(file, true), before.length);
    expect(summary).toEqual(followed);
    expect(summary).toEqual({
      ...EMPTY_SUMMARY,
      events: 4,
      session: '01a1fb29',
      lastMessage: 'new',
      usage: { inputTokens: 5, cachedInputTokens: 0, outputTokens: 2 },
      result: 'success',
    });
  });

  it('counts the failed calls that OpenCode tells in its log only', async () => {
    const failed = (agent: string) =>
      entry(
        `timestamp=2026-01-02T03:04:05.000Z level=ERROR run=5719 message="stream error" small=false agent=${agent} error.error="AI_APICallError: broken \\"x\\""`,
        'F',
        'stderr',
      );
    const file = logFile('opencode-log', STARTED + failed('build') + failed('title') + failed('build'));
    expect(await transcripts.summarize(log(file, false, 'opencode'), 0)).toMatchObject({
      retries: 2,
      retryReason: 'AI_APICallError: broken \\"x\\"',
    });
    expect(await transcripts.summarize(log(file, false, 'codex'), 0)).toMatchObject({ retries: 0 });
  });

  it('counts retries until something goes well', async () => {
    const retry = entry('{"type":"error","message":"Reconnecting... 1/5"}');
    const file = logFile('retries', STARTED + thread + retry + retry);
    expect(await transcripts.summarize(log(file), 0)).toMatchObject({
      retries: 2,
      retryReason: 'Reconnecting... 1/5',
      retryingSince: '2026-01-02T03:04:05.678901234+00:00',
    });
    appendFileSync(file, said('works'));
    expect(await transcripts.summarize(log(file), 0)).not.toHaveProperty('retryingSince');
  });

  it('keeps an error until something goes well after it, whatever the agent says in the end', async () => {
    const error = entry('{"type":"error","message":"it broke"}');
    const file = logFile('errors', STARTED + error);
    expect(await transcripts.summarize(log(file), 0)).toMatchObject({ lastError: 'it broke' });
    appendFileSync(file, done);
    expect(await transcripts.summarize(log(file), 0)).toMatchObject({
      result: 'success',
      lastError: 'it broke',
    });
    appendFileSync(file, said('on') + done);
    expect(await transcripts.summarize(log(file), 0)).not.toHaveProperty('lastError');
    appendFileSync(file, error);
    expect(await transcripts.summarize(log(file), 0)).toMatchObject({
      result: 'success',
      lastError: 'it broke',
    });
  });

  it('knows an unknown conversation by what is said before anything else happens, and only then', async () => {
    const unknown = entry('Error: no rollout found for thread id x', 'F', 'stderr');
    const file = logFile('unknown', STARTED + unknown);
    expect((await transcripts.summarize(log(file), 0)).isSessionUnknown).toBe(true);
    const later = logFile('unknown-later', STARTED + said('grep says:') + unknown);
    expect((await transcripts.summarize(log(later), 0)).isSessionUnknown).toBe(false);
    const fresh = logFile('unknown-fresh', STARTED + unknown + said('a new one, then'));
    expect((await transcripts.summarize(log(fresh), 0)).isSessionUnknown).toBe(false);
  });

  it('puts the pieces of a message together', async () => {
    const piece = (content: string) =>
      entry(JSON.stringify({ type: 'message', timestamp: 't', role: 'assistant', content, delta: true }));
    const tool = entry('{"type":"tool_use","timestamp":"t","tool_name":"x","tool_id":"1","parameters":{}}');
    const file = logFile(
      'pieces',
      STARTED + piece('one ') + piece('two') + tool + piece('three ') + piece('four'),
    );
    const summary = await transcripts.summarize(log(file, true, 'gemini'), 0);
    expect(summary).toMatchObject({ lastMessage: 'three four', isMessagePart: true });
  });

  it('names at most twenty of the tools it was denied, and counts all', async () => {
    const denied = entry(
      '{"type":"item.completed","item":{"type":"command_execution","command":"x","status":"declined"}}',
    );
    const file = logFile('denied', STARTED + denied.repeat(30));
    const summary = await transcripts.summarize(log(file, true), 0);
    expect(summary).toMatchObject({ deniedCount: 30 });
    expect(summary.denied).toHaveLength(20);
  });

  it('of a log of a hundred megabytes takes seconds and little memory', async () => {
    const file = logFile('huge', STARTED + said('y'.repeat(4_000)).repeat(25_000));
    const startedAt = performance.now();
    const summary = await transcripts.summarize(log(file, true), 0);
    expect(summary.events).toBe(25_000);
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });
});
