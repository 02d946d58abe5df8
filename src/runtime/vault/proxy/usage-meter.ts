import type { CredentialRoute } from '../../agents/contract.ts';
import type { Usage } from '../parts.ts';
import { UsageReader } from './usage-reader.ts';

/** A document that is longer is not read: what it cost stays unknown. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
const NEWLINE = 10;

/** Reads what an answer cost from a copy of its body; the body itself waits for nothing here. */
export class UsageMeter {
  readonly #reader: UsageReader;
  readonly #isStream: boolean;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** undefined for answers that tell of no cost. */
  static of(route: Pick<CredentialRoute, 'usage'>, mediaType: string): UsageMeter | undefined {
    if (route.usage === undefined) return undefined;
    if (mediaType === 'text/event-stream') return new UsageMeter(route.usage, true);
    return /[/+]json$/.test(mediaType) ? new UsageMeter(route.usage, false) : undefined;
  }

  private constructor(dialect: NonNullable<CredentialRoute['usage']>, isStream: boolean) {
    this.#reader = new UsageReader(dialect);
    this.#isStream = isStream;
  }

  push(chunk: Buffer): void {
    if (!this.#isStream) {
      this.#keep(chunk);
      return;
    }
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, at)) {
      this.#keep(chunk.subarray(at, end));
      this.#line();
      at = end + 1;
    }
    this.#keep(chunk.subarray(at));
  }

  /** What was told, also by a body that broke off. */
  end(): Usage | undefined {
    if (this.#isStream) this.#line();
    else this.#reader.read(this.#take());
    return this.#reader.usage;
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    if (this.#bytes <= MAX_DOCUMENT_BYTES) this.#pieces.push(piece);
    else this.#pieces = [];
  }

  #take(): string {
    const text = Buffer.concat(this.#pieces).toString('utf8');
    this.#pieces = [];
    this.#bytes = 0;
    return text;
  }

  #line(): void {
    const line = this.#take();
    if (line.startsWith('data:')) this.#reader.read(line.slice('data:'.length));
  }
}
