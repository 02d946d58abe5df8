import { type FileHandle, open } from 'node:fs/promises';

const CHUNK_BYTES = 256 * 1024;
/** As terok-init prints it: what ends in these words, or comes on the error stream, is somebody else's. */
const READY_LINE = /^\S{1,60} stdout F >> init complete\r?$/m;

/**
 * Looks for the init script's ready line from `begin` on; says how far it looked. A log that is shorter than that has
 * been rotated, and is looked at from its start.
 */
export async function findReadyMarker(
  logFile: string,
  begin: number,
): Promise<{ readonly isReady: boolean; readonly offset: number }> {
  const file = await openLog(logFile);
  if (file === undefined) return { isReady: false, offset: begin };
  try {
    const { size } = await file.stat();
    const offset = begin > size ? 0 : begin;
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, Math.max(0, size - offset)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
    const bytes = buffer.subarray(0, bytesRead);
    const lastNewline = bytes.lastIndexOf(0x0a);
    const isReady = READY_LINE.test(bytes.subarray(0, lastNewline + 1).toString('latin1'));
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
