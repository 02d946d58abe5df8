import { InvalidInputError } from '../core/errors.ts';
import { cleanLine } from '../core/untrusted-text.ts';

export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Reads `tcp://host:port` (IPv6 in brackets) or `unix:///path`. */
export function parseEndpoint(text: string): Endpoint {
  const unix = /^unix:\/\/(\/.+)$/.exec(text);
  if (unix?.[1] !== undefined) return { kind: 'unix', path: unix[1] };
  const tcp = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text);
  const host = tcp?.[1] ?? tcp?.[2];
  const port = Number(tcp?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new InvalidInputError(`"${cleanLine(text)}" is no endpoint`, {
      hint: 'Write tcp://host:port or unix:///path/of/a.socket.',
    });
  }
  return { kind: 'tcp', host, port };
}
