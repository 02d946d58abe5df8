import { base64Spellings, percentSpellings } from '../secret-spellings.ts';

/** Shorter texts occur by chance: to blot them out would spoil answers and hide nothing. */
const MIN_LENGTH = 8;

/**
 * The ways in which a secret comes back: as it is, percent-encoded, escaped in JSON, and inside base64 at each of the
 * three places that a byte can have there. Longest first, each once.
 */
export function secretForms(secrets: readonly string[]): Buffer[] {
  const forms = new Set(
    secrets
      .filter((secret) => secret.length >= MIN_LENGTH)
      .flatMap((secret) => [
        secret,
        ...percentSpellings(secret),
        encodeURI(secret),
        ...jsonForms(secret),
        ...base64Spellings(Buffer.from(secret, 'latin1')),
      ]),
  );
  return [...forms]
    .filter((form) => form.length >= MIN_LENGTH)
    .sort((a, b) => b.length - a.length)
    .map((form) => Buffer.from(form, 'latin1'));
}

function jsonForms(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1);
  const unicode = (characters: RegExp): string =>
    escaped.replace(characters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [escaped, escaped.replaceAll('/', '\\/'), unicode(/[<>&]/g), unicode(/[<>&=+'/]/g)];
}
