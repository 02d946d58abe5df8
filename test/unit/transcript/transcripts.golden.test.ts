import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { EMPTY_SUMMARY, EventFormat, RunSummary } from '../../../src/runtime/transcript/contract.ts';
import { parseEvents } from '../../../src/runtime/transcript/parse-events.ts';
import { renderEvent } from '../../../src/runtime/transcript/render.ts';
import { addEvent } from '../../../src/runtime/transcript/run-summary.ts';

const fixtures = path.resolve(import.meta.dirname, '../../fixtures/transcripts');
const golden = path.resolve(import.meta.dirname, '../../golden/transcripts');
const at = '2026-01-02T03:04:05.000000000+00:00';

describe('the log of', () => {
  it.each(readdirSync(fixtures))(
    '%s comes to these events, lines for people and this summary',
    async (name) => {
      const [format = ''] = name.split(/[-.]/);
      const log = { format: EventFormat.parse(format), sessionNotFound: 'No conversation found' };
      const events = readFileSync(path.join(fixtures, name), 'utf8')
        .trimEnd()
        .split('\n')
        .flatMap((text) => parseEvents(log.format, { stream: 'stdout', text }));
      const summary = events
        .map((event) => ({ ...event, at }))
        .reduce((sum, event) => addEvent(sum, event, log), EMPTY_SUMMARY);
      expect(RunSummary.parse(summary)).toEqual(summary);
      const text = [
        ...events.map((event) => JSON.stringify(event)),
        '',
        ...events.flatMap(renderEvent),
        '',
        JSON.stringify(summary, undefined, 2),
        '',
      ].join('\n');
      await expect(text).toMatchFileSnapshot(path.join(golden, name.replace('.ndjson', '.txt')));
    },
  );
});
