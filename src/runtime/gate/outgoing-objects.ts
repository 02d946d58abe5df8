import type { StreamingProcess } from '../core/command.ts';
import { CancelledError, CommandError, InvalidInputError, PolicyError } from '../core/errors.ts';
import { CommitId } from '../core/ids.ts';
import { cleanLine, cleanTail } from '../core/untrusted-text.ts';
import type { OutgoingObject } from './contract.ts';
import type { HostGit } from './host-git.ts';
import { UPSTREAM } from './ref-names.ts';

export interface OutgoingLimits {
  /** Of all contents together, uncompressed. */
  readonly bytes: number;
  readonly timeMs: number;
}

export const DEFAULT_OUTGOING_LIMITS: OutgoingLimits = { bytes: 4 * 1024 ** 3, timeMs: 600_000 };

const MAX_HEADER_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * Every object that is reachable from a commit and from no branch of upstream, with its content: what a push of the
 * commit would publish, files that an earlier commit added and a later one removed included. Throws PolicyError past
 * a limit, CommandError where git fails: whoever asks must not take what came until then for the whole.
 */
export async function* outgoingObjects(
  {
    git,
    gitDir,
    limits,
  }: {
    readonly git: HostGit;
    readonly gitDir: string;
    readonly limits: OutgoingLimits;
  },
  head: string,
  signal?: AbortSignal,
): AsyncGenerator<OutgoingObject, void, void> {
  if (!CommitId.safeParse(head).success) throw new InvalidInputError('This is no full commit id');
  const call = { gitDir, timeoutMs: limits.timeMs };
  const list = git.stream({ ...call, args: listArgs(head) });
  const contents = git.stream({ ...call, args: CONTENT_ARGS });
  const both = [list, contents];
  const stop = (): void => {
    for (const process of both) process.kill();
  };
  signal?.addEventListener('abort', stop, { once: true });
  const errors = both.map(lastWords);
  list.stdin.end();
  contents.stdin.on('error', () => undefined);
  list.stdout.on('error', () => undefined).pipe(contents.stdin);
  const bytes = new ByteReader(contents.stdout, limits.bytes);
  let isWhole = false;
  try {
    let commit: string | undefined;
    for (;;) {
      const header = await bytes.line();
      if (header === undefined) break;
      const [, id = '', type = '', size = '', name = ''] = HEADER.exec(header) ?? [];
      if (id === '')
        throw new CommandError('git said what is not understood', { details: cleanTail(header) });
      if (type === 'commit') commit = id;
      const content = bytes.take(Number(size));
      yield {
        id,
        type,
        commit: commit ?? head,
        path: name === '' ? undefined : cleanLine(Buffer.from(name, 'latin1').toString('utf8'), 300),
        content,
      };
      // What was not asked for goes by all the same.
      for await (const chunk of content) void chunk;
      await bytes.skip(1);
    }
    isWhole = true;
  } finally {
    if (!isWhole) stop();
    signal?.removeEventListener('abort', stop);
  }
  const ends = await Promise.all(both.map(({ exited }) => exited));
  if (signal?.aborted === true) throw new CancelledError('git was cancelled');
  const failed = ends.findIndex(({ exitCode }) => exitCode !== 0);
  if (failed >= 0)
    throw new CommandError('git could not list all that would be published', { details: errors[failed]?.() });
}

/** Objects behind the commit that names them first, so that each can be told with a commit that has it. */
const listArgs = (head: string): readonly string[] => [
  'rev-list',
  '--objects',
  '--in-commit-order',
  '--not',
  `--glob=${UPSTREAM}*`,
  '--not',
  head,
  '--',
];

const CONTENT_ARGS: readonly string[] = [
  'cat-file',
  '--buffer',
  '--batch=%(objectname) %(objecttype) %(objectsize) %(rest)',
];

const HEADER = /^([0-9a-f]{40,64}) (commit|tree|blob|tag) (\d+) (.*)$/;

function lastWords({ stderr }: StreamingProcess): () => string {
  let text = '';
  stderr.setEncoding('utf8').on('data', (more: string) => {
    text = (text + more).slice(-8192);
  });
  return () => cleanTail(text);
}

/** Lines and lengths of one stream of bytes, in turn. */
class ByteReader {
  readonly #source: AsyncIterator<unknown>;
  readonly #maxBytes: number;
  #chunk: Buffer = Buffer.alloc(0);
  #read = 0;

  constructor(source: AsyncIterable<unknown>, maxBytes: number) {
    this.#source = source[Symbol.asyncIterator]();
    this.#maxBytes = maxBytes;
  }

  /** Without its newline, in Latin-1; undefined at the end. */
  async line(): Promise<string | undefined> {
    let text = '';
    for (;;) {
      const end = this.#chunk.indexOf(NEWLINE);
      if (end >= 0) {
        text += this.#shift(end).toString('latin1');
        this.#shift(1);
        return text;
      }
      text += this.#shift(this.#chunk.length).toString('latin1');
      if (text.length > MAX_HEADER_BYTES) throw new CommandError('git said a line without an end');
      if (!(await this.#fill())) {
        if (text === '') return undefined;
        throw cutOff();
      }
    }
  }

  async *take(length: number): AsyncGenerator<Uint8Array, void, void> {
    for (let left = length; left > 0; ) {
      if (this.#chunk.length === 0 && !(await this.#fill())) throw cutOff();
      const part = this.#shift(Math.min(left, this.#chunk.length));
      left -= part.length;
      yield part;
    }
  }

  async skip(length: number): Promise<void> {
    for await (const chunk of this.take(length)) void chunk;
  }

  #shift(length: number): Buffer {
    const part = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    return part;
  }

  async #fill(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done === true) return false;
    this.#chunk = Buffer.isBuffer(value) ? value : Buffer.from(String(value));
    this.#read += this.#chunk.length;
    if (this.#read > this.#maxBytes) {
      throw new PolicyError(`The change is larger than the ${this.#maxBytes} bytes that are looked through`, {
        hint: 'Have it split into several promotions, or fetch the branch from the gate by hand.',
      });
    }
    return true;
  }
}

const cutOff = (): CommandError => new CommandError('git ended in the middle of what it said');
