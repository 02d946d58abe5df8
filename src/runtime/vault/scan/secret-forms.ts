import { base64Spellings, percentSpellings } from '../secret-spellings.ts';

/** Too short to be told from other text: a search for it would find words. */
export const SHORTEST_SECRET = 12;

/** A secret as it may stand in a file: itself, and spelled as programs write it. Pure. */
export function formsOf(secret: string): readonly Buffer[] {
  const bytes = Buffer.from(secret, 'utf8');
  const texts = [
    secret,
    ...percentSpellings(secret),
    JSON.stringify(secret).slice(1, -1),
    secret.replaceAll('/', '\\/'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...base64Spellings(bytes),
  ];
  const forms = [...new Set(texts)].map((text) => Buffer.from(text, 'latin1'));
  return [...forms, Buffer.from(secret, 'utf16le')].filter(({ length }) => length >= SHORTEST_SECRET);
}
