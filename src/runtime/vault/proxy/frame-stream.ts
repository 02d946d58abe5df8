import { maskText, SecretMask } from './secret-mask.ts';

/** The last message of an answer repeats all of it. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const NOTHING = Buffer.alloc(0);

/** A stream that does not follow RFC 6455: its connection ends. */
export class FrameError extends Error {}

/**
 * Frames of a server (RFC 6455 section 5.2) on their way to the task, byte for byte, with secrets in messages blotted
 * out, also where frames cut one in two. What is no payload of a message is a gap: it keeps its place between payload.
 */
export class FrameStream {
  readonly #forms: readonly Buffer[];
  readonly #onText: (text: string) => void;
  #mask: SecretMask;
  /** A header that is not whole yet. */
  #header: Buffer = NOTHING;
  /** Of the frame under way. */
  #left = 0;
  #isControl = false;
  #isLast = true;
  /** Of a control frame under way: short by the standard, so it goes on whole. */
  #control: Buffer = NOTHING;
  /** Of the message under way: a text that is short enough to be read. */
  #text: Buffer[] | undefined;
  #textBytes = 0;
  /** Gaps behind held payload, with how much of that precedes each. */
  #gaps: { before: number; readonly bytes: Buffer }[] = [];

  constructor(options: { readonly forms: readonly Buffer[]; readonly onText: (text: string) => void }) {
    this.#forms = options.forms;
    this.#onText = options.onText;
    this.#mask = new SecretMask(options.forms);
  }

  /** Bytes that may go on by now. Throws FrameError. */
  push(chunk: Buffer): Buffer {
    const out: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        at = this.#readHeader(chunk, at, out);
        continue;
      }
      const payload = chunk.subarray(at, at + this.#left);
      at += payload.length;
      this.#left -= payload.length;
      if (this.#isControl) this.#controlPayload(payload, out);
      else this.#payload(payload, out);
      if (this.#left === 0) this.#frameEnds(out);
    }
    return out.length === 1 ? (out[0] ?? NOTHING) : Buffer.concat(out);
  }

  /** How many secrets were blotted out. */
  get found(): number {
    return this.#earlier + this.#mask.found;
  }
  #earlier = 0;

  /** Where the header ends in this chunk; without a whole one, where the chunk ends. */
  #readHeader(chunk: Buffer, at: number, out: Buffer[]): number {
    const bytes =
      this.#header.length === 0 ? chunk.subarray(at) : Buffer.concat([this.#header, chunk.subarray(at)]);
    const header = parseHeader(bytes);
    if (header === undefined) {
      this.#header = Buffer.from(bytes);
      return chunk.length;
    }
    const used = header.length - this.#header.length;
    this.#header = NOTHING;
    this.#left = header.payloadBytes;
    this.#isControl = header.opcode >= 8;
    if (!this.#isControl) {
      const isContinued = header.opcode === 0;
      if (isContinued === this.#isLast) throw new FrameError('a message was cut wrongly');
      if (!isContinued) {
        this.#text = header.opcode === 1 ? [] : undefined;
        this.#textBytes = 0;
      }
      this.#isLast = header.isLast;
    }
    this.#gap(Buffer.from(bytes.subarray(0, header.length)), out);
    if (this.#left === 0) this.#frameEnds(out);
    return at + used;
  }

  /** The reason of a close is words of the upstream like any other. */
  #controlPayload(payload: Buffer, out: Buffer[]): void {
    this.#control = Buffer.concat([this.#control, payload]);
    if (this.#left > 0) return;
    const text = this.#control.toString('latin1');
    const clean = maskText(text, this.#forms);
    if (clean !== text) this.#earlier += 1;
    this.#gap(Buffer.from(clean, 'latin1'), out);
    this.#control = NOTHING;
  }

  #payload(payload: Buffer, out: Buffer[]): void {
    if (this.#text !== undefined) {
      this.#textBytes += payload.length;
      if (this.#textBytes > MAX_MESSAGE_BYTES) this.#text = undefined;
      else this.#text.push(payload);
    }
    this.#weave(this.#mask.push(payload), out);
  }

  #frameEnds(out: Buffer[]): void {
    if (this.#isControl || !this.#isLast) return;
    this.#weave(this.#mask.flush(), out);
    this.#earlier += this.#mask.found;
    this.#mask = new SecretMask(this.#forms);
    const text = this.#text;
    this.#text = undefined;
    if (text !== undefined) this.#onText(Buffer.concat(text).toString('utf8'));
  }

  #gap(bytes: Buffer, out: Buffer[]): void {
    if (this.#mask.heldBytes === 0) out.push(bytes);
    else this.#gaps.push({ before: this.#mask.heldBytes, bytes });
  }

  /** Released payload, with the gaps in it back in their places. */
  #weave(payload: Buffer, out: Buffer[]): void {
    let at = 0;
    while (this.#gaps[0] !== undefined && this.#gaps[0].before <= payload.length) {
      const { before, bytes } = this.#gaps[0];
      out.push(payload.subarray(at, before), bytes);
      at = before;
      this.#gaps.shift();
    }
    for (const gap of this.#gaps) gap.before -= payload.length;
    if (at < payload.length) out.push(payload.subarray(at));
  }
}

interface FrameHeader {
  readonly opcode: number;
  readonly isLast: boolean;
  readonly length: number;
  readonly payloadBytes: number;
}

function parseHeader(bytes: Buffer): FrameHeader | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  const opcode = first & 0x0f;
  const short = second & 0x7f;
  const isLast = (first & 0x80) !== 0;
  const isKnown = opcode <= 2 || (opcode >= 8 && opcode <= 10);
  // No extension was agreed on, and a server masks nothing.
  if ((first & 0x70) !== 0 || (second & 0x80) !== 0 || !isKnown) throw new FrameError('no frame of a server');
  if (opcode >= 8 && (!isLast || short > 125)) throw new FrameError('no control frame');
  const length = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < length) return undefined;
  const size =
    short === 126 ? BigInt(bytes.readUInt16BE(2)) : short === 127 ? bytes.readBigUInt64BE(2) : BigInt(short);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new FrameError('a frame without end');
  return { opcode, isLast, length, payloadBytes: Number(size) };
}
