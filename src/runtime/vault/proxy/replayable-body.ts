import { Readable } from 'node:stream';

const MAX_KEPT_BYTES = 1024 * 1024;

/** A request's body that can be sent once more as long as all that was read of it is kept. */
export class ReplayableBody {
  readonly #source: Readable;
  #kept: Buffer[] | undefined = [];
  #current: Readable | undefined;
  #bytes = 0;
  #isEnded = false;
  #isStarted = false;

  constructor(source: Readable) {
    this.#source = source;
  }

  /** Read so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get canRepeat(): boolean {
    return this.#kept !== undefined && this.#source.errored === null;
  }

  /** The whole of it, as long as that is kept. */
  get whole(): Buffer | undefined {
    return this.#isEnded && this.#kept !== undefined ? Buffer.concat(this.#kept) : undefined;
  }

  /** From the beginning, in place of the stream that was opened before. */
  open(): Readable {
    const earlier = this.#current;
    const stream = new Readable({
      read: () => {
        this.#start();
        this.#source.resume();
      },
      destroy: (error, callback) => {
        if (this.#current === stream) this.#source.pause();
        callback(error);
      },
    });
    this.#current = stream;
    earlier?.destroy();
    for (const chunk of this.#kept ?? []) stream.push(chunk);
    if (this.#isEnded) stream.push(null);
    return stream;
  }

  /** It will not be sent again. */
  release(): void {
    this.#kept = undefined;
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#source.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#source.once('end', () => {
      this.#isEnded = true;
      if (this.#current?.destroyed === false) this.#current.push(null);
    });
    const broken = (): void => {
      if (!this.#isEnded) this.#current?.destroy(new Error('the request broke off'));
    };
    this.#source.once('error', broken).once('close', broken);
  }

  #take(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_KEPT_BYTES) this.#kept = undefined;
    else this.#kept?.push(chunk);
    const current = this.#current;
    // Nobody wants the rest: it is read and dropped, so that the client sees its answer.
    if (current === undefined || current.destroyed) return;
    if (!current.push(chunk)) this.#source.pause();
  }
}
