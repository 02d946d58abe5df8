import type { CredentialRoute } from '../../agents/contract.ts';

/** The path of the vendor's API: a first segment that is the route's prefix is taken off. */
export function withoutPrefix(path: string, prefix: string): string {
  if (path === `/${prefix}`) return '/';
  return path.startsWith(`/${prefix}/`) ? path.slice(prefix.length + 1) : path;
}

export interface UpstreamChoice {
  /** Scheme, host and port. */
  readonly origin: string;
  /** For the Host header. */
  readonly host: string;
  readonly path: string;
}

/** Where a path goes: to the upstream of the longest prefix that fits, else to the route's own. */
export function chooseUpstream(
  route: Pick<CredentialRoute, 'upstream' | 'paths'>,
  path: string,
): UpstreamChoice {
  const fitting = Object.entries(route.paths)
    .filter(([prefix]) => fits(path, prefix))
    .sort(([a], [b]) => b.length - a.length);
  const base = new URL(fitting[0]?.[1] ?? route.upstream);
  const below = base.pathname.replace(/\/+$/, '');
  return { origin: base.origin, host: base.host, path: `${below}${path}` };
}

const fits = (path: string, prefix: string): boolean =>
  path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);

/** The path by which the route leads to this address; undefined where none does. */
export function pathOf(route: Pick<CredentialRoute, 'upstream' | 'paths'>, url: URL): string | undefined {
  for (const base of [route.upstream, ...Object.values(route.paths)].map((text) => new URL(text))) {
    const below = base.pathname.replace(/\/+$/, '');
    if (url.origin !== base.origin || !`${url.pathname}/`.startsWith(`${below}/`)) continue;
    const path = url.pathname.slice(below.length) || '/';
    const choice = chooseUpstream(route, path);
    if (choice.origin === url.origin && choice.path === `${below}${path}`) return `${path}${url.search}`;
  }
  return undefined;
}
