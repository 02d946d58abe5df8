import { cleanLine } from './untrusted-text.ts';

/**
 * The known names closest to what was asked for, nearest first, at most three: for the hint of a
 * NotFoundError. A name counts as near when a third of it or less differs, or one begins with the other.
 */
export function nearestNames(name: string, known: readonly string[]): string[] {
  const asked = name.toLowerCase().slice(0, MAX_LENGTH);
  if (asked === '') return [];
  return known
    .map((candidate) => ({
      candidate,
      distance: distance(asked, candidate.toLowerCase().slice(0, MAX_LENGTH)),
    }))
    .filter((entry) => entry.distance !== undefined)
    .sort((a, b) => (a.distance ?? 0) - (b.distance ?? 0) || a.candidate.localeCompare(b.candidate))
    .slice(0, 3)
    .map((entry) => entry.candidate);
}

/** `Did you mean a or b?`, else what may be said instead: for a hint. `show` writes a known name. */
export function didYouMean<T>(
  name: string,
  known: readonly string[],
  otherwise: T,
  show: (known: string) => string = (one) => one,
): string | T {
  const near = nearestNames(name, known);
  return near.length > 0 ? `Did you mean ${near.map(show).join(' or ')}?` : otherwise;
}

/** A name that somebody else gave, in a sentence. */
export const quoted = (name: string): string => `"${cleanLine(name, 64)}"`;

/** Names are short; a megabyte of input must not cost a megabyte squared. */
const MAX_LENGTH = 64;

function distance(a: string, b: string): number | undefined {
  if (b.startsWith(a) || a.startsWith(b)) return 0.5;
  const edits = editDistance(a, b);
  return edits <= Math.max(1, Math.floor(Math.max(a.length, b.length) / 3)) ? edits : undefined;
}

/** Levenshtein, with a swap of neighbours counted once. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? at(i - 2, j - 2) + 1
          : Number.POSITIVE_INFINITY;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + cost, swapped));
    }
  }
  return at(a.length, b.length);
}
