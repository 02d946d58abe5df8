import type { CredentialRoute } from '../../agents/contract.ts';
import type { Usage } from '../parts.ts';
import { tokensOfBytes, tokensOfEvent } from './usage-estimate.ts';
import { UsageReader } from './usage-reader.ts';

/** Of a document that is longer the end alone is read: vendors tell the cost there. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
const END_BYTES = 64 * 1024;
const NEWLINE = 10;

/** Reads what an answer cost from a copy of its body; the body itself waits for nothing here. */
export class UsageMeter {
  readonly #reader: UsageReader;
  readonly #isStream: boolean;
  #pieces: Buffer[] = [];
  #keptBytes = 0;
  #bytes = 0;
  #eventTokens = 0;

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
    this.#bytes += chunk.length;
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
    else this.#document();
    return this.#reader.usage;
  }

  /** Nothing that may come could add to it. */
  get isFinal(): boolean {
    return this.#reader.isFinal;
  }

  get model(): string | undefined {
    return this.#reader.model;
  }

  /** Guessed from the length of what came. */
  get answerTokens(): number {
    return this.#isStream ? this.#eventTokens : tokensOfBytes(this.#bytes);
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    // Chunks are views of larger memory: so few bytes must not hold all of it.
    this.#pieces.push(piece.length < END_BYTES ? Buffer.from(piece) : piece);
    this.#keptBytes += piece.length;
    if (this.#keptBytes <= MAX_DOCUMENT_BYTES) return;
    const end = Buffer.from(Buffer.concat(this.#pieces).subarray(-END_BYTES));
    this.#pieces = [end];
    this.#keptBytes = end.length;
  }

  #take(): string {
    const text = Buffer.concat(this.#pieces).toString('utf8');
    this.#pieces = [];
    this.#keptBytes = 0;
    return text;
  }

  #document(): void {
    const isCut = this.#bytes > MAX_DOCUMENT_BYTES;
    const text = this.#take();
    if (text !== '') this.#reader.read(isCut ? usageIn(text) : text);
  }

  #line(): void {
    const line = this.#take();
    if (!line.startsWith('data:')) return;
    const data = line.slice('data:'.length);
    this.#eventTokens += tokensOfEvent(data);
    this.#reader.read(data);
  }
}

/** The last object of that name as a document of its own; braces in its few words would be none of a vendor. */
function usageIn(end: string): string {
  const found = [...end.matchAll(/"usage(?:Metadata)?"\s*:\s*\{/g)].at(-1);
  if (found === undefined) return '';
  let depth = 0;
  for (let at = found.index; at < end.length; at++) {
    if (end[at] === '{') depth += 1;
    if (end[at] !== '}') continue;
    depth -= 1;
    if (depth === 0) return `{${end.slice(found.index, at + 1)}}`;
  }
  return '';
}
