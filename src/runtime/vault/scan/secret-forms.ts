/** Too short to be told from other text: a search for it would find words. */
export const SHORTEST_SECRET = 12;

/** A secret as it may stand in a file: itself, and spelled as programs write it. Pure. */
export function formsOf(secret: string): readonly Buffer[] {
  const bytes = Buffer.from(secret, 'utf8');
  const texts = [
    secret,
    encodeURIComponent(secret),
    encodeURIComponent(secret).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    JSON.stringify(secret).slice(1, -1),
    secret.replaceAll('/', '\\/'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...ALIGNMENTS.flatMap((alignment) => {
      const text = base64Within(bytes, alignment);
      return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
    }),
  ];
  const forms = [...new Set(texts)].map((text) => Buffer.from(text, 'latin1'));
  return [...forms, Buffer.from(secret, 'utf16le')].filter(({ length }) => length >= SHORTEST_SECRET);
}

/** How many bytes stand before the secret in its group of three. */
const ALIGNMENTS = [0, 1, 2] as const;

/** The characters of base64 (RFC 4648, 4) that the secret alone decides, whatever stands before and behind it. */
function base64Within(secret: Buffer, alignment: 0 | 1 | 2): string {
  const text = Buffer.concat([Buffer.alloc(alignment), secret])
    .toString('base64')
    .replace(/=+$/, '');
  const isOpen = (alignment + secret.length) % 3 !== 0;
  // A character of six bits is shared with a neighbour where the byte before it, or behind it, is not ours.
  const first = alignment === 0 ? 0 : alignment + 1;
  return text.slice(first, isOpen ? -1 : undefined);
}
