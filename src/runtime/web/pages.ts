/** Short pages of our own. Nothing from outside stands in them, but for one address that is escaped. */
const STYLE = 'body{font:16px/1.5 sans-serif;max-width:34em;margin:4em auto;padding:0 1em}';

/** Our pages run nothing and load nothing. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

export function page(title: string, text: string): string {
  return `<!doctype html><title>${title}</title><style>${STYLE}</style><h1>${title}</h1><p>${text}</p>\n`;
}

/**
 * Goes on by itself. A browser that came from another site would not send a new, strict cookie with a redirect; it
 * does with what this page of ours asks for.
 */
export function onwardPage(location: string): string {
  const safe = location.replace(
    /[^A-Za-z0-9._~!*()/?=%+,:@-]/g,
    (character) => `&#${character.codePointAt(0)};`,
  );
  return `<!doctype html><meta http-equiv="refresh" content="0;url=${safe}"><title>terok</title><p><a href="${safe}">Go on</a></p>\n`;
}
