import { InvalidInputError } from '../core/errors.ts';

/** Dockerfile lines of a person with the words that name their origin. */
export interface SnippetPart {
  readonly origin: string;
  readonly text: string;
}

/**
 * A person's Dockerfile lines as one text: file first, then inline; undefined when there is nothing in them. Throws
 * InvalidInputError for what would take our own lines with it: another FROM, or an instruction that does not end.
 */
export function joinSnippet(parts: readonly SnippetPart[]): string | undefined {
  for (const part of parts) check(part);
  const texts = parts.map(({ text }) => text.replace(/\r\n/g, '\n').trim()).filter((text) => text !== '');
  return texts.length === 0 ? undefined : texts.join('\n\n');
}

/** What makes a line go on: builders of different age disagree on two backslashes. */
const CONTINUATIONS = [/\\[ \t]*$/, /(?<!\\)\\[ \t]*$/] as const;
/** Blanks as Go, in which builders are written, sees them. */
const BLANKS = /^[\s\u0085]+|[\s\u0085]+$/g;

function check({ origin, text }: SnippetPart): void {
  for (const continuation of CONTINUATIONS) {
    const { instructions, unended } = split(text, continuation);
    for (const { line, words } of instructions) {
      if (!/^(?:ONBUILD\s+)?FROM(?:\s|$)/i.test(words)) continue;
      throw new InvalidInputError(`${origin}, line ${line}: FROM has no place in a snippet`, {
        hint: 'The snippet goes on top of our own layers. For another base set docker.base_image.',
      });
    }
    if (unended === undefined) continue;
    throw new InvalidInputError(`${origin}, line ${unended}: the last instruction does not end`, {
      hint: 'Take the "\\" at its end away, or add what should follow.',
    });
  }
}

/** Instructions with what their continued lines add, each with its first line's number; and where one does not end. */
function split(
  text: string,
  continuation: RegExp,
): {
  readonly instructions: readonly { readonly line: number; readonly words: string }[];
  readonly unended: number | undefined;
} {
  const instructions: { line: number; words: string }[] = [];
  let open: { line: number; words: string } | undefined;
  let last = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    const trimmed = raw.replace(BLANKS, '');
    // Comments and empty lines do not end an instruction (Dockerfile reference, "Format").
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    last = index + 1;
    const isContinued = continuation.test(trimmed);
    const words = isContinued ? trimmed.replace(continuation, '') : trimmed;
    // Whatever indents a line that goes on, it is at least no part of the word before.
    open = open === undefined ? { line: last, words } : { ...open, words: open.words + indent(raw) + words };
    if (isContinued) continue;
    instructions.push(open);
    open = undefined;
  }
  return { instructions, unended: open === undefined ? undefined : last };
}

const indent = (line: string): string => (/^[\s\u0085]/.test(line) ? ' ' : '');
