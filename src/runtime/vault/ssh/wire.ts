/** What was sent breaks the format. Says what, and never repeats it. */
export class WireError extends Error {}

const MAX_UINT32 = 0xffff_ffff;

/** Reads the data types of RFC 4251 section 5, each within its bounds. Throws WireError and nothing else. */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte(): number {
    return this.#take(1).readUInt8(0);
  }

  /** RFC 4251 takes any byte but 0 for true; only 1 is ever written, and two spellings of one thing are refused here. */
  boolean(): boolean {
    const value = this.byte();
    if (value > 1) throw new WireError('a truth value is neither 0 nor 1');
    return value === 1;
  }

  uint32(): number {
    return this.#take(4).readUInt32BE(0);
  }

  /** A view of the message, not a copy. */
  string(): Buffer {
    return this.#take(this.uint32());
  }

  /** Strict UTF-8 of at most `maxBytes`. */
  text(maxBytes: number): string {
    const bytes = this.string();
    if (bytes.length > maxBytes) throw new WireError(`a name is longer than ${maxBytes} bytes`);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new WireError('a name is not UTF-8');
    }
  }

  raw(length: number): Buffer {
    return this.#take(length);
  }

  rest(): Buffer {
    return this.#take(this.#bytes.length - this.#at);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new WireError('something follows the end of the message');
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new WireError('the message ends too early');
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }
}

/** Renders the data types of RFC 4251 section 5. */
export const wire = {
  byte: (value: number): Buffer => Buffer.from([value]),
  boolean: (value: boolean): Buffer => Buffer.from([value ? 1 : 0]),
  uint32: (value: number): Buffer => {
    if (!Number.isInteger(value) || value < 0 || value > MAX_UINT32)
      throw new WireError('a number is too large');
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  },
  string: (value: Uint8Array | string): Buffer => {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
    return Buffer.concat([wire.uint32(bytes.length), bytes]);
  },
  /** A number that is not negative, from its big-endian bytes without leading zeros. */
  mpint: (value: Uint8Array): Buffer =>
    wire.string((value[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), value]) : value),
} as const;
