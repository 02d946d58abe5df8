import { type HeaderPair, listOf, valuesOf } from './header-pairs.ts';

/** Subprotocol by which browsers' clients of OpenAI pass a key. */
export const PROTOCOL_KEY = 'openai-insecure-api-key.';

/** Headers in which programs hand over a credential: none of them is ever forwarded as it came. */
export const CREDENTIAL_HEADERS = [
  'authorization',
  'proxy-authorization',
  'x-api-key',
  'api-key',
  'private-token',
  'job-token',
  'deploy-token',
  'x-goog-api-key',
  'x-auth-token',
] as const;

/** Longer than any token of ours. */
const MAX_TOKEN = 512;

/** Every token that the request shows, each once. */
export function presentedTokens(pairs: readonly HeaderPair[]): string[] {
  const found = CREDENTIAL_HEADERS.flatMap((name) =>
    valuesOf(pairs, name).flatMap((value) =>
      name.endsWith('authorization') ? ofAuthorization(value) : [value.trim()],
    ),
  );
  const protocols = listOf(pairs, 'sec-websocket-protocol')
    .filter((protocol) => protocol.startsWith(PROTOCOL_KEY))
    .map((protocol) => protocol.slice(PROTOCOL_KEY.length));
  return [...new Set([...found, ...protocols])].filter((token) => token !== '' && token.length <= MAX_TOKEN);
}

/** Bearer and GitHub's "token" carry it as it is, Basic as the password (or as the name before an empty one). */
function ofAuthorization(value: string): string[] {
  const [, scheme = '', rest = ''] = /^\s*(\S+)\s+(\S+)\s*$/.exec(value) ?? [];
  switch (scheme.toLowerCase()) {
    case 'bearer':
    case 'token':
      return [rest];
    case 'basic': {
      const [name = '', ...password] = Buffer.from(rest, 'base64').toString('latin1').split(':');
      return [password.join(':'), name].filter((part) => part !== '');
    }
    default:
      return [];
  }
}
