import { type HeaderPair, hopByHop, listOf, valuesOf, without } from './header-pairs.ts';
import { CREDENTIAL_HEADERS, PROTOCOL_KEY } from './presented-tokens.ts';

/** How the real credential is shown to the upstream. */
export interface Signature {
  readonly header: string;
  readonly prefix: string;
  readonly extra: Readonly<Record<string, string>>;
  readonly secret: string;
}

export interface ForwardedHead {
  readonly host: string;
  /** undefined: nothing is signed, as for a redirect to another host. */
  readonly signature: Signature | undefined;
  readonly isWebsocket: boolean;
  /** The body that goes upstream is not the client's, byte for byte. */
  readonly isBodyReplaced: boolean;
}

/** A redirect is followed without the body. */
const BODY_HEADERS = ['content-length', 'content-type', 'content-encoding', 'content-language'] as const;

/** Encodings of an answer that can be looked into here. */
const READABLE = new Set(['gzip', 'x-gzip', 'br', 'deflate', 'identity']);

/**
 * The headers that go upstream in place of the client's: nothing of this connection, no credential but the real one,
 * no word of a proxy. A rest of the client's credentials is what this must never leave, so it takes names away by rule
 * and adds last.
 */
export function requestHeaders(pairs: readonly HeaderPair[], head: ForwardedHead): HeaderPair[] {
  const { signature } = head;
  const dropped = hopByHop(pairs);
  for (const name of [...CREDENTIAL_HEADERS, 'host', 'expect', 'accept-encoding']) dropped.add(name);
  if (signature !== undefined) dropped.add(signature.header.toLowerCase());
  else for (const name of ['cookie', 'origin', 'referer', ...BODY_HEADERS]) dropped.add(name);
  if (head.isBodyReplaced) for (const name of ['content-length', 'content-encoding']) dropped.add(name);
  // Chunked bodies get their framing anew; a length beside them would be a second one.
  if (valuesOf(pairs, 'transfer-encoding').length > 0) dropped.add('content-length');
  if (head.isWebsocket)
    for (const name of ['sec-websocket-extensions', 'sec-websocket-protocol']) dropped.add(name);
  const extra = Object.entries(signature?.extra ?? {});
  for (const [name] of extra) dropped.add(name.toLowerCase());

  const forwarded: HeaderPair[] = [['Host', head.host], ...without(pairs, dropped)];
  if (listOf(pairs, 'te').some((element) => /^trailers$/i.test(element))) forwarded.push(['TE', 'trailers']);
  const encodings = acceptedEncodings(pairs);
  if (encodings !== undefined) forwarded.push(['Accept-Encoding', encodings]);
  if (head.isWebsocket) forwarded.push(...subprotocols(pairs, signature));
  for (const [name, value] of extra) forwarded.push([name, joined(pairs, name, value)]);
  if (signature !== undefined) forwarded.push([signature.header, `${signature.prefix}${signature.secret}`]);
  return forwarded;
}

/** A header that lists features keeps what the client asked for; any other is the route's alone. */
function joined(pairs: readonly HeaderPair[], name: string, value: string): string {
  if (!/-(?:beta|features)$/i.test(name)) return value;
  return [
    ...new Set([...listOf(pairs, name.toLowerCase()), ...value.split(',').map((one) => one.trim())]),
  ].join(',');
}

/** Only what can be read; nothing but the plain body for a part of it, for no part of a compressed one can be read. */
function acceptedEncodings(pairs: readonly HeaderPair[]): string | undefined {
  const asked = listOf(pairs, 'accept-encoding');
  if (asked.length === 0) return undefined;
  if (valuesOf(pairs, 'range').length > 0) return 'identity';
  const readable = asked.filter((element) =>
    READABLE.has((element.split(';')[0] ?? '').trim().toLowerCase()),
  );
  return readable.length === 0 ? 'identity' : readable.join(', ');
}

function subprotocols(pairs: readonly HeaderPair[], signature: Signature | undefined): HeaderPair[] {
  const offered = listOf(pairs, 'sec-websocket-protocol').map((protocol) =>
    protocol.startsWith(PROTOCOL_KEY) ? `${PROTOCOL_KEY}${signature?.secret ?? ''}` : protocol,
  );
  return offered.length === 0 ? [] : [['Sec-WebSocket-Protocol', offered.join(', ')]];
}
