/** A line that was longer than allowed: its ends, for telling whose it was. */
export interface OversizedLine {
  readonly head: string;
  readonly tail: string;
}

const EDGE_BYTES = 512;
const NEWLINE = 0x0a;

/**
 * Splits a byte stream into lines of at most `maxBytes`. A longer line costs no memory beyond that: it is
 * dropped as it comes, reported when it ends, and the stream goes on.
 */
export class BoundedLines {
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  readonly #onOversized: (line: OversizedLine) => void;
  #chunks: Buffer[] = [];
  #length = 0;
  #dropped: { readonly head: string; tail: Buffer } | undefined;

  constructor(deps: {
    readonly maxBytes: number;
    readonly onLine: (line: string) => void;
    readonly onOversized: (line: OversizedLine) => void;
  }) {
    this.#maxBytes = deps.maxBytes;
    this.#onLine = deps.onLine;
    this.#onOversized = deps.onOversized;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#append(chunk.subarray(start, end));
      this.#finishLine();
      start = end + 1;
    }
    this.#append(chunk.subarray(start));
  }

  #append(part: Buffer): void {
    if (part.length === 0) return;
    if (this.#dropped !== undefined) {
      this.#dropped.tail = Buffer.concat([this.#dropped.tail, part.subarray(-EDGE_BYTES)]).subarray(
        -EDGE_BYTES,
      );
      return;
    }
    this.#chunks.push(part);
    this.#length += part.length;
    if (this.#length <= this.#maxBytes) return;
    const whole = Buffer.concat(this.#chunks);
    this.#dropped = {
      head: whole.subarray(0, EDGE_BYTES).toString('utf8'),
      tail: Buffer.from(whole.subarray(-EDGE_BYTES)),
    };
    this.#chunks = [];
    this.#length = 0;
  }

  #finishLine(): void {
    const dropped = this.#dropped;
    const line = Buffer.concat(this.#chunks).toString('utf8').replace(/\r$/, '');
    this.#chunks = [];
    this.#length = 0;
    this.#dropped = undefined;
    if (dropped !== undefined) this.#onOversized({ head: dropped.head, tail: dropped.tail.toString('utf8') });
    else if (line.trim() !== '') this.#onLine(line);
  }
}
