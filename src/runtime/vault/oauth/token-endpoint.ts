import type { RefreshRule } from '../parts.ts';
import type { OAuthCredential } from '../stored-credential.ts';

/** An exchange of a refresh token for a new pair (RFC 6749, section 6), as the endpoint of this vendor takes it. */
export interface TokenRequest {
  readonly url: string;
  readonly contentType: string;
  readonly body: string;
}

export function tokenRequest(rule: RefreshRule, { refresh_token }: OAuthCredential): TokenRequest {
  const fields = {
    grant_type: 'refresh_token',
    refresh_token,
    client_id: rule.client_id,
    ...(rule.scope === undefined ? {} : { scope: rule.scope }),
  };
  return rule.body === 'json'
    ? { url: rule.token_url, contentType: 'application/json', body: JSON.stringify(fields) }
    : {
        url: rule.token_url,
        contentType: 'application/x-www-form-urlencoded',
        body: new URLSearchParams(fields).toString(),
      };
}

/**
 * Whether a request to this address would reach a token endpoint, in whatever way its path is spelled: with it a
 * container could renew, or revoke, what belongs to the host. An address that cannot be read counts as one.
 */
export function reachesTokenEndpoint(
  address: string,
  rules: Iterable<Pick<RefreshRule, 'token_url'>>,
): boolean {
  const asked = parsed(address);
  if (asked === undefined) return true;
  for (const { token_url } of rules) {
    const endpoint = parsed(token_url);
    if (endpoint === undefined) return true;
    if (hostOf(asked) !== hostOf(endpoint)) continue;
    const path = plainPath(asked);
    if (path === undefined || path === plainPath(endpoint)) return true;
  }
  return false;
}

function parsed(address: string): URL | undefined {
  try {
    return new URL(address);
  } catch {
    return undefined;
  }
}

const hostOf = ({ hostname, port }: URL): string => `${hostname.replace(/\.$/, '')}:${port}`;

/**
 * Servers differ in what they decode, fold and cut off: as much as any of them does, so that a guard errs on its side.
 * Undefined for what cannot be decoded.
 */
function plainPath({ pathname }: URL): string | undefined {
  let path = pathname;
  try {
    for (let round = 0; round < 3 && path.includes('%'); round += 1) path = decodeURIComponent(path);
  } catch {
    return undefined;
  }
  const segments: string[] = [];
  for (const part of path.replaceAll('\\', '/').split('/')) {
    const segment = (part.split(';')[0] ?? '').trim();
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return segments.join('/').toLowerCase();
}
