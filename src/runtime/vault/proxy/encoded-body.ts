import { constants, createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import type { BodyEncoding } from './response-headers.ts';

type Decoder = ReturnType<typeof createGunzip> | ReturnType<typeof createBrotliDecompress>;

/** Unpacks a compressed stream beside its way to the task, chunk by chunk. Its own content is not kept. */
export class BodyDecoder {
  readonly #encoding: Exclude<BodyEncoding, 'plain'>;
  readonly #see: (chunk: Buffer) => void;
  #decoder: Decoder | undefined;
  #failure: Error | undefined;

  constructor(encoding: Exclude<BodyEncoding, 'plain'>, see: (chunk: Buffer) => void) {
    this.#encoding = encoding;
    this.#see = see;
  }

  /** Resolves when all that this chunk unpacks to was seen. Rejects for what is not packed that way. */
  async write(chunk: Buffer): Promise<void> {
    this.#decoder ??= this.#open(chunk);
    const decoder = this.#decoder;
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => reject(error);
      decoder.once('error', failed);
      decoder.write(chunk, (error) => {
        decoder.off('error', failed);
        if (error !== null && error !== undefined) reject(error);
        else resolve();
      });
    });
    // zlib's callback comes when the input is used up; what it made of it may lie in the stream's own buffer.
    // Reading it tells the listener below.
    while (decoder.read() !== null);
  }

  close(): void {
    this.#decoder?.destroy();
  }

  #open(first: Buffer): Decoder {
    const decoder = decoderFor(this.#encoding, first);
    decoder.on('data', (chunk: unknown) => this.#seen(chunk));
    decoder.on('error', (error) => {
      this.#failure = error;
    });
    return decoder;
  }

  #seen(chunk: unknown): void {
    if (Buffer.isBuffer(chunk)) this.#see(chunk);
  }
}

function decoderFor(encoding: Exclude<BodyEncoding, 'plain'>, first: Buffer): Decoder {
  switch (encoding) {
    case 'gzip':
      return createGunzip({ flush: constants.Z_SYNC_FLUSH });
    case 'br':
      return createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH });
    case 'deflate':
      // "deflate" is zlib's format by the standard, and raw by what some servers make of it.
      return ((first[0] ?? 0) & 0x0f) === 8
        ? createInflate({ flush: constants.Z_SYNC_FLUSH })
        : createInflateRaw({ flush: constants.Z_SYNC_FLUSH });
  }
}
