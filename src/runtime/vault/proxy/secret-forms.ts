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
      .flatMap((secret) => [secret, ...percentForms(secret), ...jsonForms(secret), ...base64Forms(secret)]),
  );
  return [...forms]
    .filter((form) => form.length >= MIN_LENGTH)
    .sort((a, b) => b.length - a.length)
    .map((form) => Buffer.from(form, 'latin1'));
}

function percentForms(secret: string): string[] {
  const encoded = encodeURIComponent(secret);
  return [encoded, encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()), encodeURI(secret)];
}

function jsonForms(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1);
  const unicode = (characters: RegExp): string =>
    escaped.replace(characters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [escaped, escaped.replaceAll('/', '\\/'), unicode(/[<>&]/g), unicode(/[<>&=+'/]/g)];
}

function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret, 'latin1');
  return [0, 1, 2].flatMap((offset) => {
    const bits = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    // Characters at either end are made of neighbours' bits too.
    const first = Math.ceil((offset * 8) / 6);
    const last = Math.floor(((offset + bytes.length) * 8) / 6);
    const inner = bits.slice(first, last);
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
