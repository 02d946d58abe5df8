import type { FileHandle } from 'node:fs/promises';
import type { LinePage, LineRequest, TaskLog } from './contract.ts';
import { readSteps } from './log-file-loader.ts';
import { fitLines, lengthOf, ReadableLines } from './readable-lines.ts';

/** Of the end of a log, where its last lines are looked for: at first, and at most. */
const FIRST_TAIL_BYTES = 256 * 1024;
const MAX_TAIL_BYTES = 8 * 1024 * 1024;

interface OpenLog {
  readonly log: TaskLog;
  readonly file: FileHandle;
  readonly size: number;
}

/** The lines from an offset on, as many as fit; of what one entry of the log means, at least the beginning. */
export async function loadPage(
  { log, file, size }: OpenLog,
  request: LineRequest,
  from: number,
): Promise<LinePage> {
  const readable = new ReadableLines({ log, request });
  const lines: string[] = [];
  let chars = 0;
  let nextCursor = from;
  for await (const steps of readSteps(file, { from, size, hasEnded: log.hasEnded })) {
    for (const step of steps) {
      const shown = step.lines.flatMap((line) => readable.show(line));
      const added = lengthOf(shown);
      if (lines.length > 0 && chars + added > request.maxChars)
        return { lines, nextCursor, isComplete: false };
      lines.push(...fitLines(shown, request.maxChars));
      chars += added;
      nextCursor = step.end;
    }
  }
  return { lines, nextCursor, isComplete: log.hasEnded && nextCursor >= size };
}

/** The last lines, as many as were asked for and fit. */
export async function loadTail(open: OpenLog, request: LineRequest): Promise<LinePage> {
  const { size } = open;
  let bytes = Math.min(MAX_TAIL_BYTES, FIRST_TAIL_BYTES + request.maxChars);
  let end = await readEnd(open, request, bytes);
  while (end.lines.length < request.tail && bytes < size && bytes < MAX_TAIL_BYTES) {
    bytes = Math.min(MAX_TAIL_BYTES, bytes * 4);
    end = await readEnd(open, request, bytes);
  }
  const last: string[] = [];
  let room = request.maxChars;
  for (const line of end.lines.slice(-request.tail).reverse()) {
    if (line.length + 1 > room) {
      if (last.length === 0) last.push(...fitLines([line], request.maxChars));
      break;
    }
    room -= line.length + 1;
    last.unshift(line);
  }
  return { lines: last, nextCursor: end.nextCursor, isComplete: open.log.hasEnded && end.nextCursor >= size };
}

async function readEnd(
  { log, file, size }: OpenLog,
  request: LineRequest,
  bytes: number,
): Promise<{ readonly lines: readonly string[]; readonly nextCursor: number }> {
  const readable = new ReadableLines({ log, request });
  const from = Math.max(0, size - bytes);
  const lines: string[] = [];
  let nextCursor = from;
  for await (const steps of readSteps(file, { from, size, hasEnded: log.hasEnded })) {
    for (const step of steps) {
      lines.push(...step.lines.flatMap((line) => readable.show(line)));
      nextCursor = step.end;
    }
    // No more than is asked for is held, however little one entry of the log is.
    lines.splice(0, lines.length - request.tail);
  }
  return { lines, nextCursor };
}
