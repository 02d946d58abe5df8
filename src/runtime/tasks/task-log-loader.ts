import { type FileHandle, open } from 'node:fs/promises';
import { parseContainerLog } from './container-log.ts';
import type { LogPage } from './contract.ts';

const CHUNK_BYTES = 256 * 1024;
/** A search through a huge log goes on in the next call. */
const MAX_CHUNKS = 64;
const READY_MARKER = ' F >> init complete';

export interface LogRead {
  readonly file: string;
  readonly cursor: number | undefined;
  readonly tail: number;
  readonly maxChars: number;
  readonly contains: string | undefined;
  readonly hasEnded: boolean;
}

/** Reads at most a fixed amount of a task's log, however large it is. An absent log is an empty one. */
export async function loadLogPage(request: LogRead): Promise<LogPage> {
  const file = await openLog(request.file);
  if (file === undefined) return { lines: [], nextCursor: 0, isComplete: request.hasEnded };
  try {
    const { size } = await file.stat();
    // A rotated log is shorter than an old cursor: start over rather than say nothing for ever.
    const from = request.cursor === undefined ? undefined : request.cursor > size ? 0 : request.cursor;
    return from === undefined
      ? await loadTail(file, size, request)
      : await loadFrom(file, from, size, request);
  } finally {
    await file.close();
  }
}

async function loadFrom(file: FileHandle, from: number, size: number, request: LogRead): Promise<LogPage> {
  const lines: string[] = [];
  let cursor = from;
  let chars = 0;
  for (let chunk = 0; chunk < MAX_CHUNKS && cursor < size && chars < request.maxChars; chunk += 1) {
    const bytes = await readAt(file, cursor, Math.min(CHUNK_BYTES, size - cursor));
    const reachesEnd = cursor + bytes.length >= size;
    const budget = fittingBytes(bytes, request.maxChars - chars);
    const isWhole = budget === bytes.length;
    const window = bytes.subarray(0, budget);
    const isLast = isWhole && reachesEnd && request.hasEnded;
    // One line longer than the window is taken in pieces, so that reading always advances.
    const isFull = !isWhole || bytes.length === CHUNK_BYTES;
    let page = parseContainerLog(window, { isFinal: isLast || !window.includes(0x0a) });
    if (page.consumed === 0 && isFull) page = parseContainerLog(window, { isFinal: true });
    if (page.consumed === 0) break;
    cursor += page.consumed;
    for (const line of page.lines) {
      if (request.contains !== undefined && !line.includes(request.contains)) continue;
      lines.push(line);
      chars += line.length + 1;
    }
    if (reachesEnd && !request.hasEnded) break;
  }
  return { lines, nextCursor: cursor, isComplete: request.hasEnded && cursor >= size };
}

async function loadTail(file: FileHandle, size: number, request: LogRead): Promise<LogPage> {
  const wanted = Math.min(size, CHUNK_BYTES + request.maxChars);
  const bytes = await readAt(file, size - wanted, wanted);
  const firstNewline = wanted === size ? -1 : bytes.indexOf(0x0a);
  const whole = bytes.subarray(firstNewline + 1);
  const page = parseContainerLog(whole, { isFinal: request.hasEnded });
  const matching = page.lines.filter(
    (line) => request.contains === undefined || line.includes(request.contains),
  );
  const lines: string[] = [];
  let chars = 0;
  for (const line of matching.slice(-request.tail).reverse()) {
    chars += line.length + 1;
    if (chars > request.maxChars) break;
    lines.unshift(line);
  }
  return { lines, nextCursor: size - whole.length + page.consumed, isComplete: request.hasEnded };
}

/** Bytes of whole entries that fit in so many characters, but at least one entry. */
function fittingBytes(bytes: Buffer, maxChars: number): number {
  if (bytes.length <= maxChars) return bytes.length;
  const cutAt = bytes.lastIndexOf(0x0a, maxChars);
  if (cutAt !== -1) return cutAt + 1;
  const first = bytes.indexOf(0x0a);
  return first === -1 ? bytes.length : first + 1;
}

/** Looks for the init script's ready line from `offset` on; says how far it looked. */
export async function findReadyMarker(
  logFile: string,
  offset: number,
): Promise<{ readonly isReady: boolean; readonly offset: number }> {
  const file = await openLog(logFile);
  if (file === undefined) return { isReady: false, offset };
  try {
    const { size } = await file.stat();
    const bytes = await readAt(file, offset, Math.min(CHUNK_BYTES, Math.max(0, size - offset)));
    const isReady = bytes.includes(READY_MARKER);
    const lastNewline = bytes.lastIndexOf(0x0a);
    const advance = lastNewline === -1 ? (bytes.length === CHUNK_BYTES ? bytes.length : 0) : lastNewline + 1;
    return { isReady, offset: offset + advance };
  } finally {
    await file.close();
  }
}

async function openLog(file: string): Promise<FileHandle | undefined> {
  return await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}
