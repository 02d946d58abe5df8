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

function check({ origin, text }: SnippetPart): void {
  let isContinued = false;
  let last = 0;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    // Comments and empty lines do not end an instruction (Dockerfile reference, "Format").
    if (line === '' || line.startsWith('#')) continue;
    last = index + 1;
    if (!isContinued && /^(?:FROM|ONBUILD\s+FROM)(?:\s|$)/i.test(line)) {
      throw new InvalidInputError(`${origin}, line ${last}: FROM has no place in a snippet`, {
        hint: 'The snippet goes on top of our own layers. For another base set docker.base_image.',
      });
    }
    isContinued = line.endsWith('\\');
  }
  if (!isContinued) return;
  throw new InvalidInputError(`${origin}, line ${last}: the last instruction does not end`, {
    hint: 'Take the "\\" at its end away, or add what should follow.',
  });
}
