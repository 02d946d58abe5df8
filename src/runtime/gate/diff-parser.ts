import { cleanLine } from '../core/untrusted-text.ts';
import type { Diff } from './contract.ts';

type FileChange = Diff['files'][number];

const STATUS: Readonly<Record<string, string>> = {
  A: 'added',
  C: 'copied',
  D: 'deleted',
  M: 'modified',
  R: 'renamed',
  T: 'type changed',
};

/** A name may be as long as a push. */
const MAX_FIELD_CHARS = 64 * 1024;

/**
 * Reads `git diff --raw --numstat -z` piece by piece (git-diff(1), "Raw output format"): first a record per
 * file with its status, then one per file with its counts, both in the same order. Keeps the first
 * `maxFiles`, counts the rest: how many there are is up to an agent.
 */
export class DiffParser {
  readonly #maxFiles: number;
  readonly #statuses: string[] = [];
  readonly #files: FileChange[] = [];
  #field = '';
  /** Characters of the field that were dropped. */
  #dropped = 0;
  #fileCount = 0;
  /** A record that still lacks its names. */
  #open: { readonly added: string; readonly removed: string; readonly from?: string } | undefined;
  #namesToSkip = 0;

  constructor(options: { readonly maxFiles: number }) {
    this.#maxFiles = options.maxFiles;
  }

  get files(): readonly FileChange[] {
    return this.#files;
  }

  get fileCount(): number {
    return this.#fileCount;
  }

  push(text: string): void {
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf('\0', at);
      this.#append(text.slice(at, end < 0 ? undefined : end));
      if (end < 0) return;
      const token = this.#dropped === 0 ? this.#field : `${this.#field}… (${this.#dropped} more)`;
      this.#field = '';
      this.#dropped = 0;
      this.#token(token);
      at = end + 1;
    }
  }

  #append(piece: string): void {
    const taken = piece.slice(0, MAX_FIELD_CHARS - this.#field.length);
    this.#field += taken;
    this.#dropped += piece.length - taken.length;
  }

  #token(token: string): void {
    if (this.#namesToSkip > 0) {
      this.#namesToSkip--;
      return;
    }
    if (this.#open !== undefined) {
      const { from, ...counts } = this.#open;
      if (from === undefined) this.#open = { ...counts, from: token };
      else {
        this.#open = undefined;
        this.#file(counts, token, from);
      }
      return;
    }
    if (token.startsWith(':')) {
      const status = token.split(' ')[4] ?? '';
      if (this.#statuses.length < this.#maxFiles) this.#statuses.push(status);
      this.#namesToSkip = /^[RC]/.test(status) ? 2 : 1;
      return;
    }
    const [, added = '', removed = '', path = ''] = /^([^\t]*)\t([^\t]*)\t(.*)$/s.exec(token) ?? [];
    // A rename or copy: both names follow in tokens of their own.
    if (path === '') this.#open = { added, removed };
    else this.#file({ added, removed }, path);
  }

  #file(counts: { readonly added: string; readonly removed: string }, path: string, from?: string): void {
    const status = this.#statuses[this.#fileCount];
    this.#fileCount++;
    if (status === undefined) return;
    const word = STATUS[status.charAt(0)] ?? 'changed';
    this.#files.push({
      path: cleanLine(path, 500),
      // "-" stands for a binary file.
      added: counts.added === '-' ? undefined : Number(counts.added),
      removed: counts.removed === '-' ? undefined : Number(counts.removed),
      status: from === undefined ? word : `${word} from ${cleanLine(from, 500)}`,
    });
  }
}
