/** The head of a CGI answer (RFC 3875, section 6). */
export interface CgiHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

export type CgiProgress = { readonly head: CgiHead; readonly body: Buffer } | 'incomplete' | 'malformed';

const MAX_HEAD_BYTES = 16 * 1024;
/** What git http-backend sends; nothing else passes. */
const PASSED_ON = new Map([
  ['content-type', 'Content-Type'],
  ['cache-control', 'Cache-Control'],
  ['expires', 'Expires'],
  ['pragma', 'Pragma'],
]);

/** Splits what a CGI program has written so far. Lines may end in LF or CRLF. */
export function parseCgiHead(output: Buffer): CgiProgress {
  const text = output.subarray(0, MAX_HEAD_BYTES).toString('latin1');
  const end = /\r?\n\r?\n/.exec(text);
  if (end === null) return output.length >= MAX_HEAD_BYTES ? 'malformed' : 'incomplete';
  const headers: Record<string, string> = {};
  let status = 200;
  for (const line of text.slice(0, end.index).split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon < 1) return 'malformed';
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'status') {
      status = Number(/^[1-5][0-9]{2}(?= |$)/.exec(value)?.[0]);
      if (Number.isNaN(status)) return 'malformed';
    }
    const known = PASSED_ON.get(name);
    if (known !== undefined) headers[known] = value;
  }
  return { head: { status, headers }, body: output.subarray(end.index + end[0].length) };
}
