import { type FileHandle, open } from 'node:fs/promises';

const CHUNK_BYTES = 256 * 1024;
const READY_MARKER = ' F >> init complete';

/** Looks for the init script's ready line from `offset` on; says how far it looked. */
export async function findReadyMarker(
  logFile: string,
  offset: number,
): Promise<{ readonly isReady: boolean; readonly offset: number }> {
  const file = await openLog(logFile);
  if (file === undefined) return { isReady: false, offset };
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, Math.max(0, size - offset)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
    const bytes = buffer.subarray(0, bytesRead);
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
