import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from '../core/log.ts';
import { parseAuditLine, renderAuditLine } from './audit-line.ts';
import type { AuditRecord } from './contract.ts';
import type { AuditLog } from './parts.ts';

const NAME = 'credentials.jsonl';
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** The one that is written among them. */
const FILES = 4;
/** What waits in memory while the disk is full. */
const MAX_WAITING = 1000;
const CHUNK_BYTES = 64 * 1024;
/** No line of ours is longer. */
const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

interface OpenFile {
  readonly descriptor: number;
  size: number;
  /** The last line was cut off: the next one must not continue it. */
  isTorn: boolean;
}

/**
 * What went through tasks' credential proxies and SSH agents: `credentials.jsonl`, one line a record and one write a
 * line, so that a killed process leaves whole lines. Only its owner may read it. This process alone writes it.
 */
export class AuditFile implements AuditLog, Disposable {
  readonly #directory: string;
  readonly #log: Logger | undefined;
  readonly #maxFileBytes: number;
  #file: OpenFile | undefined;
  #waiting: string[] = [];
  #lost = 0;

  /** @param deps.directory is made where it is absent; `deps.maxFileBytes` after which a new file is begun. */
  constructor(deps: {
    readonly directory: string;
    readonly log?: Logger | undefined;
    readonly maxFileBytes?: number | undefined;
  }) {
    this.#directory = deps.directory;
    this.#log = deps.log;
    this.#maxFileBytes = deps.maxFileBytes ?? MAX_FILE_BYTES;
  }

  /** Never throws: records wait for a disk that is full, and the log says so. */
  append(record: AuditRecord): void {
    this.#waiting.push(renderAuditLine(record));
    try {
      while (this.#waiting[0] !== undefined) {
        this.#write(this.#waiting[0]);
        this.#waiting.shift();
      }
      if (this.#lost > 0) this.#log?.error({ lost: this.#lost }, 'audit records were lost');
      this.#lost = 0;
    } catch (error) {
      if (this.#waiting.length <= 1)
        this.#log?.error({ error: String(error) }, 'the audit file cannot be written');
      if (this.#waiting.length <= MAX_WAITING) return;
      this.#waiting.shift();
      this.#lost++;
    }
  }

  /** Reads from the end, and no more than it needs. Newest last. */
  async read(filter: Parameters<AuditLog['read']>[0]): Promise<readonly AuditRecord[]> {
    const found: AuditRecord[] = [];
    const handles: FileHandle[] = [];
    const seen = new Set<number>();
    try {
      for (let index = 0; index < FILES && found.length < filter.limit; index++) {
        const handle = await openIfThere(this.#pathOf(index));
        if (handle === undefined) continue;
        handles.push(handle);
        // A new file may be begun meanwhile: the one that was just read then has another name.
        const { ino } = await handle.stat();
        if (seen.has(ino)) continue;
        seen.add(ino);
        for await (const line of linesBackwards(handle)) {
          const record = parseAuditLine(line);
          if (record !== undefined && isWanted(record, filter)) found.push(record);
          if (found.length >= filter.limit) break;
        }
      }
    } finally {
      await Promise.all(handles.map((handle) => handle.close()));
    }
    return found.reverse();
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.descriptor);
    this.#file = undefined;
  }

  #write(line: string): void {
    const file = this.#current(line.length);
    const text = Buffer.from(file.isTorn ? `\n${line}` : line, 'latin1');
    const written = writeSync(file.descriptor, text);
    file.size += written;
    file.isTorn = written === text.length ? false : file.isTorn || written > 0;
    if (written < text.length) throw new Error(`${written} of ${text.length} bytes were written`);
  }

  #current(lineBytes: number): OpenFile {
    const file = this.#file ?? this.#open();
    if (fstatSync(file.descriptor).nlink === 0) {
      // Somebody removed it: a file without a name keeps nothing.
      this[Symbol.dispose]();
      return this.#open();
    }
    if (file.size === 0 || file.size + lineBytes <= this.#maxFileBytes) return file;
    this[Symbol.dispose]();
    // The oldest is replaced by the next one.
    for (let index = FILES - 1; index > 0; index--)
      renameIfThere(this.#pathOf(index - 1), this.#pathOf(index));
    return this.#open();
  }

  #open(): OpenFile {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    const descriptor = openSync(this.#pathOf(0), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    fchmodSync(descriptor, 0o600);
    const { size } = fstatSync(descriptor);
    const last = Buffer.alloc(1);
    if (size > 0) readSync(descriptor, last, 0, 1, size - 1);
    this.#file = { descriptor, size, isTorn: size > 0 && last[0] !== NEWLINE };
    return this.#file;
  }

  /** 0 is the one that is written, 1 the one before. */
  #pathOf(index: number): string {
    return path.join(this.#directory, index === 0 ? NAME : `${NAME}.${index}`);
  }
}

const isWanted = (
  record: AuditRecord,
  { task, provider }: { readonly task?: string | undefined; readonly provider?: string | undefined },
): boolean =>
  (task === undefined || record.task === task) && (provider === undefined || record.provider === provider);

/** The last line first. What is too long to be one of ours is left out. */
async function* linesBackwards(handle: FileHandle): AsyncGenerator<string> {
  let end = (await handle.stat()).size;
  let tail = Buffer.alloc(0);
  while (end > 0) {
    const begin = Math.max(0, end - CHUNK_BYTES);
    const chunk = Buffer.alloc(end - begin);
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, begin);
    const text = Buffer.concat([chunk.subarray(0, bytesRead), tail]);
    const first = begin === 0 ? -1 : text.indexOf(NEWLINE);
    if (begin > 0 && first < 0) {
      tail = text.length > MAX_LINE_BYTES ? Buffer.alloc(0) : text;
    } else {
      const lines = text.toString('latin1', first + 1).split('\n');
      for (const line of lines.reverse()) if (line !== '') yield line;
      tail = first < 0 ? Buffer.alloc(0) : text.subarray(0, first + 1);
    }
    end = begin;
  }
}

async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
