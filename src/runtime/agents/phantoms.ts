import { InvalidInputError } from '../core/errors.ts';
import { fill } from './agent-channels.ts';
import type { ApiEndpoint, RosterEntry } from './contract.ts';

/** What stands in a container for an entry's credential: its own address and token, with no place left open. */
export interface Phantoms {
  readonly env: Readonly<Record<string, string>>;
  /** Of those, the ones that hold the token: another at each start. */
  readonly tokenVariables: readonly string[];
  readonly files: readonly { readonly path: string; readonly content: string }[];
}

export const NO_PHANTOMS: Phantoms = { env: {}, tokenVariables: [], files: [] };

/** Of one entry; nothing where it has no endpoint, or no way to be told of it. Throws InvalidInputError. */
export function phantomsOf(
  entry: Pick<RosterEntry, 'name' | 'phantom'>,
  endpoints: ReadonlyMap<string, ApiEndpoint>,
): Phantoms {
  const endpoint = endpoints.get(entry.name);
  const phantom = endpoint === undefined ? undefined : entry.phantom[endpoint.kind];
  if (endpoint === undefined || phantom === undefined) return NO_PHANTOMS;
  const values = placesOf(endpoint);
  const odd = Object.entries(values).find(([, value]) => !PLAIN.test(value));
  if (odd !== undefined) {
    throw new InvalidInputError(`The ${odd[0]} of ${entry.name} holds characters that a file could misread`, {
      hint: 'Letters, digits and the punctuation of URLs are safe.',
    });
  }
  const filled = (text: string): string => {
    if (values['socket'] === undefined && text.includes('{socket}')) {
      throw new InvalidInputError(`${entry.name} needs a socket, and its endpoint has none`, {
        hint: 'Take {socket} out of its file in the roster, or reach it another way.',
      });
    }
    return fill([text], values)[0] ?? text;
  };
  return {
    env: Object.fromEntries(Object.entries(phantom.env).map(([name, value]) => [name, filled(value)])),
    tokenVariables: Object.entries(phantom.env).flatMap(([name, value]) =>
      value.includes('{token}') ? [name] : [],
    ),
    files: phantom.files.map(({ path, content }) => ({ path, content: filled(content) })),
  };
}

/** Means itself in JSON, TOML, YAML and a shell's quotes, so that a place may be anywhere in a file of any format. */
const PLAIN = /^[A-Za-z0-9/._~=+-][A-Za-z0-9/._~=+:[\]@%-]*$/;

function placesOf({ baseUrl, baseAddress, token, socket }: ApiEndpoint): Readonly<Record<string, string>> {
  return {
    base_url: baseUrl,
    base_address: baseAddress ?? baseUrl.replace(/^https?:\/\//, ''),
    token,
    ...(socket === undefined ? {} : { socket }),
  };
}
