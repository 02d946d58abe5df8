import { type HeaderPair, hopByHop, listOf, valuesOf, without } from './header-pairs.ts';
import { Refusal } from './refusal.ts';

export type BodyEncoding = 'plain' | 'gzip' | 'br' | 'deflate';

/** What the task gets of an answer's headers; the framing of its body is made anew. */
export function responseHeaders(
  pairs: readonly HeaderPair[],
  answer: { readonly canHaveTrailers: boolean },
): HeaderPair[] {
  const dropped = hopByHop(pairs);
  // Trailers go on, so their announcement does.
  if (answer.canHaveTrailers && valuesOf(pairs, 'content-length').length === 0) dropped.delete('trailer');
  return without(pairs, dropped);
}

/** How its body is packed. Throws Refusal for what cannot be looked into, as nothing may pass unseen. */
export function bodyEncoding(pairs: readonly HeaderPair[]): BodyEncoding {
  const codings = listOf(pairs, 'content-encoding').map((coding) => coding.toLowerCase());
  const [coding = 'identity', ...more] = codings.filter((one) => one !== 'identity');
  if (more.length === 0) {
    if (coding === 'identity') return 'plain';
    if (coding === 'gzip' || coding === 'x-gzip') return 'gzip';
    if (coding === 'br' || coding === 'deflate') return coding;
  }
  throw new Refusal(
    502,
    'unreadable_answer',
    'The upstream packed its answer in a way that cannot be checked here.',
  );
}

/** The type without its parameters, in small letters. */
export const mediaType = (pairs: readonly HeaderPair[]): string =>
  (valuesOf(pairs, 'content-type')[0]?.split(';')[0] ?? '').trim().toLowerCase();
