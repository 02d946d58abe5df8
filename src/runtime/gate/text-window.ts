import { cleanLine } from '../core/untrusted-text.ts';

const MAX_LINE = 2000;

/**
 * A window of some endless, hostile text, as characters of its cleaned form: lines longer than 2000
 * characters are cut, with a count. Memory stays bounded by the window, whatever goes through.
 */
export class TextWindow {
  readonly #offset: number;
  readonly #maxChars: number;
  #line = '';
  #dropped = 0;
  #total = 0;
  #text = '';

  constructor(options: { readonly offset: number; readonly maxChars: number }) {
    this.#offset = options.offset;
    this.#maxChars = options.maxChars;
  }

  push(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      this.#extend(text.slice(start, end));
      this.#finishLine('\n');
      start = end + 1;
    }
    this.#extend(text.slice(start));
  }

  /** Call once, after the last `push`. */
  finish(): { readonly text: string; readonly totalChars: number; readonly nextOffset: number | undefined } {
    if (this.#line !== '' || this.#dropped > 0) this.#finishLine('');
    let text = this.#text.slice(0, this.#maxChars);
    const isLast = this.#offset + text.length >= this.#total;
    if (!isLast) {
      // Ends at a line where there is one, and never inside a character.
      const lineEnd = text.lastIndexOf('\n') + 1;
      if (lineEnd > 0) text = text.slice(0, lineEnd);
      else if (text.length > 1 && /[\ud800-\udbff]$/.test(text)) text = text.slice(0, -1);
    }
    return { text, totalChars: this.#total, nextOffset: isLast ? undefined : this.#offset + text.length };
  }

  #extend(piece: string): void {
    const room = Math.max(0, MAX_LINE - this.#line.length);
    this.#line += piece.slice(0, room);
    this.#dropped += Math.max(0, piece.length - room);
  }

  #finishLine(end: string): void {
    const note = this.#dropped === 0 ? '' : `… (${this.#dropped} more)`;
    const line = `${cleanPreservingTabs(this.#line)}${note}${end}`;
    const from = Math.max(0, this.#offset - this.#total);
    if (from < line.length && this.#text.length <= this.#maxChars) this.#text += line.slice(from);
    this.#total += line.length;
    this.#line = '';
    this.#dropped = 0;
  }
}

/** Indentation by tabs is part of a patch. */
function cleanPreservingTabs(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  return text
    .split('\t')
    .map((part) => cleanLine(part, Number.POSITIVE_INFINITY))
    .join('\t');
}
