/** How programs spell a secret inside other text: what the proxy blots out and what the leak scan looks for. Pure. */

/** As URLs and forms write it, with hexadecimal digits of either case. */
export function percentSpellings(secret: string): readonly string[] {
  const encoded = encodeURIComponent(secret);
  return [encoded, encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())];
}

/** Inside base64 (RFC 4648, 4 and 5), at each of the three places that a byte can have there. */
export function base64Spellings(secret: Buffer): readonly string[] {
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), secret])
      .toString('base64')
      .replace(/=+$/, '');
    // Characters at either end are made of neighbours' bits too.
    const inner = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + secret.length) * 8) / 6));
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
