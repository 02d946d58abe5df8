import type { CredentialRoute } from '../../agents/contract.ts';
import { CommandError, HostError } from '../../core/errors.ts';
import { reachesTokenEndpoint } from '../oauth/token-endpoint.ts';
import type { LiveCredential, TokenCheck } from '../parts.ts';
import { headerValueOf, type StoredCredential } from '../stored-credential.ts';
import type { ExchangeRecord } from './exchange-record.ts';
import { queriesOnly } from './graphql-query.ts';
import { type HeaderPair, valuesOf } from './header-pairs.ts';
import { presentedTokens } from './presented-tokens.ts';
import { Refusal } from './refusal.ts';
import type { Signature } from './request-headers.ts';
import { checkPath, hasTokenInQuery, type RequestTarget, splitTarget } from './request-target.ts';
import { chooseUpstream, type UpstreamChoice, withoutPrefix } from './route-choice.ts';
import { checkNoOverride, checkRules, isGraphql } from './route-rules.ts';
import type { TaskGuard } from './task-guard.ts';

export interface AskedFor {
  readonly method: string;
  /** Of the request line. */
  readonly target: string;
  readonly headers: readonly HeaderPair[];
  readonly isWebsocket: boolean;
  /** The whole body, for the few requests that are judged by it. Throws Refusal where it is too long. */
  readonly readBody: () => Promise<Buffer>;
}

export interface Admitted {
  readonly route: CredentialRoute;
  readonly live: LiveCredential;
  readonly upstream: UpstreamChoice;
  /** As the rules of the route name it. */
  readonly path: string;
  /** Whether an address is where some credential is renewed. */
  readonly isTokenEndpoint: (address: string) => boolean;
  readonly query: string;
  /** What the client put before the path: a slash and the route's prefix, or nothing. */
  readonly ownPrefix: string;
  /** Goes upstream in place of the client's. */
  readonly body: Buffer | undefined;
}

type Owner = TokenCheck & { readonly kind: 'valid' };

/**
 * Whether a request may go to its upstream, and with what. Throws Refusal, also by any doubt: the upstream hears of
 * nothing that was not let through here.
 */
export async function admit(
  asked: AskedFor,
  guard: TaskGuard,
  record: ExchangeRecord,
  signal: AbortSignal,
): Promise<Admitted> {
  const target = splitTarget(asked.target);
  const owner = ownerOf(asked.headers, target, guard);
  record.belongsTo({ provider: owner.provider, set: owner.set });
  const routes = await guard.deps.routes();
  const route = routes.get(owner.provider);
  if (route === undefined)
    throw new Refusal(502, 'no_route', `There is no route to ${owner.provider} any more.`);
  checkPath(target.path, { hasEncodedSlashes: route.encoded_slashes });
  if (asked.isWebsocket && !route.websocket) {
    throw new Refusal(403, 'not_allowed', `${owner.provider} takes no websockets.`);
  }
  const path = withoutPrefix(target.path, route.prefix);
  if (route.rules !== undefined) checkNoOverride(asked.headers, target.query);
  checkRules(route, { method: asked.method, path });
  const upstream = chooseUpstream(route, path);
  const tokenRules = [...routes.values()].flatMap(({ refresh }) => refresh ?? []);
  const isTokenEndpoint = (address: string): boolean => reachesTokenEndpoint(address, tokenRules);
  if (isTokenEndpoint(`${upstream.origin}${upstream.path}`)) {
    throw new Refusal(403, 'not_allowed', 'Tokens are renewed on the host, never by a task.');
  }
  const body = isGraphql(route, path) ? await graphqlBody(asked, target) : undefined;
  const live = await liveOrRefusal(guard, () => guard.deps.live.get(owner.provider, owner.set, signal));
  if (live === undefined) {
    throw new Refusal(
      502,
      'no_credential',
      `No credential is stored for ${owner.provider}: ask the person to add one.`,
    );
  }
  checkRules(route, { method: asked.method, path, kind: live.credential.kind });
  signatureOf(route, live);
  // Last of all: what goes no further is not counted.
  const enough = guard.deps.budgets.admit(guard.task, { provider: owner.provider, set: owner.set });
  if (enough !== undefined) throw new Refusal(403, 'budget', enough);
  return {
    route,
    live,
    upstream,
    path,
    isTokenEndpoint,
    query: target.query,
    ownPrefix: path === target.path ? '' : `/${route.prefix}`,
    body,
  };
}

function ownerOf(headers: readonly HeaderPair[], target: RequestTarget, guard: TaskGuard): Owner {
  const presented = presentedTokens(headers);
  const checks = presented.map((token) => guard.deps.tokens.check(guard.task, token));
  if (checks.some((check) => check.kind === 'foreign')) {
    guard.alarm('credential.misused', { problem: 'A token of another task was used.' });
    throw new Refusal(401, 'foreign_token', 'This token belongs to another task.');
  }
  if (hasTokenInQuery(target.query, presented.length > 0)) {
    throw new Refusal(401, 'token_in_query', 'A token is taken from headers only, not from the query.');
  }
  const owners = checks.filter((check) => check.kind === 'valid');
  const [owner] = owners;
  if (owner === undefined) {
    throw checks.some((check) => check.kind === 'expired')
      ? new Refusal(401, 'expired_token', "This task's token is over.")
      : new Refusal(401, 'no_token', 'This is no token of this task.');
  }
  if (owners.some((other) => other.provider !== owner.provider || other.set !== owner.set)) {
    throw new Refusal(401, 'several_tokens', 'The request shows tokens of several credentials.');
  }
  return owner;
}

function graphqlBody(asked: AskedFor, { query }: RequestTarget): Promise<Buffer> {
  // Servers take a document, or a batch of them, from there as well, and some take that one first.
  if (query.length > 1) throw new Refusal(403, 'not_allowed', 'GraphQL is asked here in the body only.');
  if (valuesOf(asked.headers, 'content-encoding').length > 0) {
    throw new Refusal(403, 'not_allowed', 'GraphQL is asked here without compression.');
  }
  const contentType = valuesOf(asked.headers, 'content-type').join(', ');
  return asked.readBody().then((body) => queriesOnly(body, { method: asked.method, contentType }));
}

/** Turns what keeps a credential back into an answer. */
export async function liveOrRefusal(
  guard: TaskGuard,
  ask: () => Promise<LiveCredential | undefined>,
): Promise<LiveCredential | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof HostError) {
      guard.vaultNeeded();
      throw new Refusal(503, 'locked', 'The vault of credentials is locked: a person has to unlock it.');
    }
    if (error instanceof CommandError) {
      const hint = error.hint === undefined ? '' : ` ${error.hint}`;
      throw new Refusal(502, 'no_credential', `${error.message}.${hint}`);
    }
    throw error;
  }
}

/** Throws Refusal where the route does not say how such a credential is shown. */
export function signatureOf(route: CredentialRoute, live: LiveCredential): Signature {
  const rule = route.auth[live.credential.kind];
  if (rule === undefined) {
    throw new Refusal(
      502,
      'no_route',
      `The route to ${live.info.provider} takes no credential of this kind.`,
    );
  }
  return { ...rule, extra: filledIn(rule.extra, live.credential), secret: headerValueOf(live.credential) };
}

/** Headers with a place for something that the login did not tell are left out. */
function filledIn(
  extra: Readonly<Record<string, string>>,
  credential: StoredCredential,
): Readonly<Record<string, string>> {
  const facts = credential.kind === 'oauth' ? credential.facts : {};
  return Object.fromEntries(
    Object.entries(extra).flatMap(([header, text]) => {
      const names = [...text.matchAll(/\{([a-z_]+)\}/g)].map(([, name = '']) => name);
      const values = names.map((name) => (Object.hasOwn(facts, name) ? facts[name] : undefined));
      if (!values.every((value) => typeof value === 'string' && /^[\u0021-\u007e]{1,200}$/.test(value)))
        return [];
      const filled = text.replace(/\{([a-z_]+)\}/g, (_, name: string) => String(facts[name]));
      return [[header, filled]];
    }),
  );
}
