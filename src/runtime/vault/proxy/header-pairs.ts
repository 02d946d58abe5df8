/** Name as it was written, and value: latin1 text, one character a byte. */
export type HeaderPair = readonly [name: string, value: string];

/** From Node's flat list of names and values. */
export function pairsOf(flat: readonly string[]): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2)
    pairs.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return pairs;
}

/** By which a name is told: gateways that make variables of headers take "_" for "-". */
export const plainName = (name: string): string => name.toLowerCase().replaceAll('_', '-');

/** All values of a header, in their order. */
export function valuesOf(pairs: readonly HeaderPair[], name: string): string[] {
  return pairs.filter(([own]) => own.toLowerCase() === name).map(([, value]) => value);
}

/** Elements of a comma-separated list, over all lines of the header. */
export function listOf(pairs: readonly HeaderPair[], name: string): string[] {
  return valuesOf(pairs, name)
    .flatMap((value) => value.split(','))
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

export const without = (pairs: readonly HeaderPair[], names: ReadonlySet<string>): HeaderPair[] =>
  pairs.filter(([name]) => !names.has(name.toLowerCase()) && !names.has(plainName(name)));

/** Of one connection, not of the message (RFC 9110 section 7.6.1), with those that are so by custom. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
] as const;

/** Names that end here: those, and what the message itself ties to this connection. */
export function hopByHop(pairs: readonly HeaderPair[]): Set<string> {
  return new Set([...HOP_BY_HOP, ...listOf(pairs, 'connection').map((name) => name.toLowerCase())]);
}
