import { type FileHandle, open } from 'node:fs/promises';
import { LogAssembler, type LogLine, MAX_LINE_BYTES } from './log-assembler.ts';

/** Read at once: little at first, since a page of lines may need no more. */
const FIRST_CHUNK_BYTES = 16 * 1024;
const CHUNK_BYTES = 256 * 1024;
/** In one call; a search through a huge log goes on in the next. */
const MAX_READ_BYTES = 64 * CHUNK_BYTES;
/** Parts of a line that has not ended: more of them are not read again and again until it does. */
const MAX_OPEN_BYTES = 4 * MAX_LINE_BYTES;
/** conmon's entries have some 8 KB. What is longer is none of its own, and is taken in pieces. */
const MAX_ENTRY_BYTES = 2 * MAX_LINE_BYTES;
/** Looked back at from an offset: enough for nearly all, and for any line that is not too long anyway. */
const LOOK_BACK_BYTES = [64 * 1024, MAX_LINE_BYTES + CHUNK_BYTES];
const NEWLINE = 0x0a;

/** Lines that were completed, and the offset at which reading goes on after them. */
export interface LogStep {
  readonly lines: readonly LogLine[];
  readonly end: number;
}

/** What is read of an open log. */
export interface LogSpan {
  readonly from: number;
  readonly size: number;
  readonly hasEnded: boolean;
}

/** Calls back with a task's log and its size; undefined where there is none yet. */
export async function inLog<T>(
  path: string,
  use: (file: FileHandle, size: number) => Promise<T>,
): Promise<T | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    return await use(file, (await file.stat()).size);
  } finally {
    await file.close();
  }
}

/**
 * The lines of a log from an offset on, a bounded amount of it, in batches. What state the offset is in (a line that
 * has begun, a start of the container) is known from the bytes before it. A line that has not ended is left for the
 * next time: no step ends behind its parts alone, unless there are very many of them.
 */
export async function* readSteps(file: FileHandle, span: LogSpan): AsyncGenerator<readonly LogStep[]> {
  if (span.from >= span.size) return;
  const { assembler, position: from } = await assemblerAt(file, span.from);
  const to = Math.min(span.size, from + MAX_READ_BYTES);
  let position = from;
  let rested = from;
  let rest: Buffer = Buffer.alloc(0);
  let chunk = FIRST_CHUNK_BYTES;
  while (position + rest.length < to) {
    const start = position + rest.length;
    const bytes = await readAt(file, start, Math.min(chunk, to - start));
    if (bytes.length === 0) break;
    chunk = Math.min(2 * chunk, CHUNK_BYTES);
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const steps: LogStep[] = [];
    const take = (entry: Buffer, length: number): void => {
      const lines = assembler.feed(entry);
      position += length;
      if (lines.length === 0 && assembler.isOpen && position - rested < MAX_OPEN_BYTES) return;
      steps.push({ lines, end: position });
      rested = position;
    };
    let begin = 0;
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE, begin)) {
      take(rest.subarray(begin, end), end + 1 - begin);
      begin = end + 1;
    }
    rest = rest.subarray(begin);
    if (rest.length > MAX_ENTRY_BYTES) {
      take(rest, rest.length);
      rest = Buffer.alloc(0);
    }
    yield steps;
  }
  if (to < span.size) {
    if (rested === from) yield [{ lines: [], end: position }];
  } else if (span.hasEnded) {
    const last = rest.length === 0 ? [] : assembler.feed(rest);
    yield [{ lines: [...last, ...assembler.flush()], end: span.size }];
  }
}

/** In the state that reading from the start would have left it in, at the last entry's end up to there. */
async function assemblerAt(
  file: FileHandle,
  offset: number,
): Promise<{ readonly assembler: LogAssembler; readonly position: number }> {
  for (const lookBack of LOOK_BACK_BYTES) {
    const start = Math.max(0, offset - lookBack);
    const bytes = await readAt(file, start, offset - start);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    const assembler = new LogAssembler({ isBlind: start > 0 });
    let begin = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
    while (begin < end) {
      const next = bytes.indexOf(NEWLINE, begin);
      assembler.feed(bytes.subarray(begin, next));
      begin = next + 1;
    }
    const isEnough = start === 0 || !assembler.isHeadless || lookBack === LOOK_BACK_BYTES.at(-1);
    if (isEnough) return { assembler: assembler.settle(), position: end === 0 ? offset : start + end };
  }
  throw new Error('there is always a last look back');
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}
