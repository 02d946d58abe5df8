import type { ApiEndpoint, RosterEntry } from '../agents/contract.ts';
import type { CredentialGrant } from '../vault/contract.ts';

/** Where a model server of this machine stands in every container. */
const RELAY_URL = 'http://localhost:9419';
/** The relay asks for nothing: whoever reaches it is a task that may. */
const RELAY_TOKEN = 'terok-relay';
/** Where `terok-init` offers the task's credential proxy; and the same as a socket. */
const PROXY_URL = 'http://localhost:9420';
const PROXY_SOCKET = '/run/terok/vault.sock';

/** Where API calls of a task go instead of their vendors, by name of the entry (pure). The relay wins. */
export function endpointsOf({
  roster,
  hasRelay,
  grants,
}: {
  readonly roster: readonly RosterEntry[];
  readonly hasRelay: boolean;
  readonly grants: readonly CredentialGrant[];
}): ReadonlyMap<string, ApiEndpoint> {
  const entries = new Map(roster.map((entry) => [entry.name, entry]));
  const proxied = grants.flatMap((grant): readonly (readonly [string, ApiEndpoint])[] => {
    const route = entries.get(grant.provider)?.route;
    return route === undefined ? [] : [[grant.provider, proxyEndpoint(grant, route.prefix)]];
  });
  const relayed = roster
    .filter(({ kind, phantom }) => hasRelay && kind === 'agent' && phantom.api_key !== undefined)
    .map(({ name }): readonly [string, ApiEndpoint] => [name, RELAY]);
  return new Map([...proxied, ...relayed]);
}

const RELAY: ApiEndpoint = { baseUrl: RELAY_URL, token: RELAY_TOKEN, kind: 'api_key' };

const proxyEndpoint = ({ token, kind }: CredentialGrant, prefix: string): ApiEndpoint => ({
  baseUrl: `${PROXY_URL}/${prefix}`,
  baseAddress: PROXY_URL.replace('http://', ''),
  token: token.reveal(),
  kind,
  socket: PROXY_SOCKET,
});
