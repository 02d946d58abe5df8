import { cleanText } from '../core/untrusted-text.ts';

/** Longest line shown; a container may write one line of a gigabyte. */
const MAX_LINE_CHARS = 4_000;

/**
 * Lines of Podman's k8s-file log (`<time> <stream> <F|P> <text>`; P marks a part of a longer line), joined and
 * cleaned (pure). An unfinished line at the end is left for the next read: `consumed` says how far this got.
 */
export function parseContainerLog(
  bytes: Buffer,
  options: { readonly isFinal: boolean },
): { readonly lines: readonly string[]; readonly consumed: number } {
  const lines: string[] = [];
  const partial = new Map<string, string>();
  let consumed = 0;
  let start = 0;
  for (;;) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    if (newline === -1 && !(options.isFinal && end > start)) break;
    const entry = parseEntry(bytes.subarray(start, end).toString('utf8'));
    const text = `${partial.get(entry.stream) ?? ''}${entry.text}`.slice(0, MAX_LINE_CHARS + 1);
    if (entry.isPartial && newline !== -1) {
      partial.set(entry.stream, text);
    } else {
      partial.delete(entry.stream);
      lines.push(cut(cleanText(text)));
    }
    start = Math.min(end + 1, bytes.length);
    if (partial.size === 0) consumed = start;
    if (newline === -1) break;
  }
  if (options.isFinal) {
    for (const text of partial.values()) lines.push(cut(cleanText(text)));
    consumed = bytes.length;
  }
  return { lines, consumed };
}

function parseEntry(line: string): {
  readonly stream: string;
  readonly isPartial: boolean;
  readonly text: string;
} {
  const match = /^\S+ (stdout|stderr) ([FP]) (.*)$/s.exec(line);
  if (match === null) return { stream: 'stdout', isPartial: false, text: line };
  // A terminal ends its lines with both characters.
  const text = (match[3] ?? '').replace(/\r$/, '');
  return { stream: match[1] ?? 'stdout', isPartial: match[2] === 'P', text };
}

const cut = (text: string): string =>
  text.length <= MAX_LINE_CHARS ? text : `${text.slice(0, MAX_LINE_CHARS)}… (line cut)`;
