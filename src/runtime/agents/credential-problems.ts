import type { z } from 'zod';
import {
  type CredentialKind,
  CredentialKind as Kind,
  type Phantom,
  type Route,
} from './credential-schemas.ts';

interface Credentials {
  readonly route?: z.infer<typeof Route> | undefined;
  readonly phantom: Readonly<Partial<Record<CredentialKind, z.infer<typeof Phantom>>>>;
}

/** What an entry says of its credentials that cannot be so, each with its place in the file (pure). */
export function credentialProblems({
  route,
  phantom,
}: Credentials): readonly { readonly path: string[]; readonly problem: string }[] {
  const kinds = Kind.options.filter((kind) => phantom[kind] !== undefined);
  return [
    ...kinds
      .filter((kind) => route?.auth[kind] === undefined)
      .map((kind) => ({
        path: ['phantom', kind],
        problem: 'route.auth has no rule for this kind of credential',
      })),
    ...(route !== undefined && isTokenUrlReachable(route)
      ? [
          {
            path: ['route', 'refresh', 'token_url'],
            problem: 'a task could reach it through this route; route.rules must leave it out',
          },
        ]
      : []),
  ];
}

type RouteFile = z.infer<typeof Route>;

/**
 * Whoever renews a token gets another one: a container that could ask for it would hold a real credential, and end the
 * one of the host.
 */
function isTokenUrlReachable(route: RouteFile): boolean {
  if (route.refresh === undefined) return false;
  const token = new URL(route.refresh.token_url);
  const upstreams = [{ prefix: '', url: route.upstream }].concat(
    Object.entries(route.paths).map(([prefix, url]) => ({ prefix, url })),
  );
  return upstreams.some(({ prefix, url }) => {
    const { origin, pathname } = new URL(url);
    const base = pathname.replace(/\/+$/, '');
    if (token.origin !== origin || !token.pathname.startsWith(`${base}/`)) return false;
    const asked = token.pathname.slice(base.length);
    return asked.startsWith(prefix) && isAllowed(route, 'POST', asked);
  });
}

function isAllowed({ rules }: RouteFile, method: string, path: string): boolean {
  if (rules === undefined) return true;
  return rules.some(
    (rule) => (rule.methods?.includes(method) ?? true) && expressionFor(rule.path).test(path),
  );
}

/** "*" stands for one segment, "**" at the end for all that follow. */
function expressionFor(pattern: string): RegExp {
  const parts = pattern.split('/').map((part, index, all) => {
    if (part === '**' && index === all.length - 1) return '.*';
    return part === '*' ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('/')}$`);
}
