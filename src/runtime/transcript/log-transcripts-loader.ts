import {
  EMPTY_SUMMARY,
  type LinePage,
  type LineRequest,
  type RunSummary,
  type TaskLog,
  type TimedEvent,
  type TranscriptFormat,
  type TranscriptPage,
  type Transcripts,
} from './contract.ts';
import { eventsOfLine } from './log-events.ts';
import { inLog, readSteps } from './log-file-loader.ts';
import { loadPage, loadTail } from './log-page-loader.ts';
import { addEvent } from './run-summary.ts';

const SUMMARY_EVENTS = 5000;
/** Reads transcripts from Podman's log files. */
export class LogTranscripts implements Transcripts {
  async events(
    log: TaskLog,
    request: { readonly cursor: number; readonly maxEvents: number },
  ): Promise<TranscriptPage> {
    const page = await inLog(log.file, async (file, size) => {
      const from = withinLog(request.cursor, size);
      const events: TimedEvent[] = [];
      let nextCursor = from;
      for await (const steps of readSteps(file, { from, size, hasEnded: log.hasEnded })) {
        for (const { lines, end } of steps) {
          const told = lines.flatMap((line) => eventsOfLine(line, log.format));
          if (events.length > 0 && events.length + told.length > request.maxEvents)
            return { events, nextCursor, isComplete: false };
          events.push(...told);
          nextCursor = end;
        }
      }
      return { events, nextCursor, isComplete: log.hasEnded && nextCursor >= size };
    });
    return page ?? { events: [], nextCursor: 0, isComplete: log.hasEnded };
  }

  async lines(log: TaskLog, request: LineRequest): Promise<LinePage> {
    const page = await inLog(log.file, async (file, size) =>
      request.cursor === undefined
        ? await loadTail({ log, file, size }, request)
        : await loadPage({ log, file, size }, request, withinLog(request.cursor, size)),
    );
    return page ?? { lines: [], nextCursor: 0, isComplete: log.hasEnded };
  }

  fold(summary: RunSummary, events: readonly TimedEvent[], format: TranscriptFormat): RunSummary {
    return events.reduce((sum, event) => addEvent(sum, event, format), summary);
  }

  async summarize(log: TaskLog, cursor: number): Promise<RunSummary> {
    let summary = EMPTY_SUMMARY;
    for (let next = cursor; ; ) {
      const page = await this.events(log, { cursor: next, maxEvents: SUMMARY_EVENTS });
      summary = this.fold(summary, page.events, log);
      if (page.isComplete || page.nextCursor === next) return summary;
      next = page.nextCursor;
    }
  }
}

/** A log that was rotated is shorter than an old cursor: start over rather than say nothing for ever. */
const withinLog = (cursor: number, size: number): number => (cursor > size ? 0 : cursor);
