import { isIpAddress } from '../../core/address-classes.ts';
import { type HeaderPair, valuesOf } from './header-pairs.ts';
import { Refusal } from './refusal.ts';

export const MAX_REDIRECTS = 3;

export type RedirectChoice =
  /** No redirect, or one that the task follows by itself; `location` is what it is told instead, where that differs. */
  | { readonly kind: 'pass'; readonly location: string | undefined }
  /** We fetch it, without a credential. */
  | { readonly kind: 'follow'; readonly url: URL };

export interface Redirect {
  readonly method: string;
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  /** What was asked for. */
  readonly origin: string;
  readonly path: string;
  /** Hosts of the route, `*.` for any below. */
  readonly hosts: readonly string[];
  /** Turns a path of the upstream into one of this proxy; undefined where the task could not reach it. */
  readonly ownPath: (url: URL) => string | undefined;
}

/** Throws Refusal for a way that is not on the route's list. */
export function chooseRedirect(redirect: Redirect): RedirectChoice {
  const [location, ...more] = valuesOf(redirect.headers, 'location');
  if (location === undefined) return { kind: 'pass', location: undefined };
  const isRedirect = [301, 302, 303, 307, 308].includes(redirect.status);
  const url = more.length === 0 ? parsed(location, `${redirect.origin}${redirect.path}`) : undefined;
  if (url === undefined) {
    if (!isRedirect) return { kind: 'pass', location: undefined };
    throw refused();
  }
  const own = redirect.ownPath(url);
  const isRelative = !/^[a-z][a-z0-9+.-]*:|^[\\/]{2}/i.test(location.trim());
  // The task's own address is what it is relative to, so it leads here again.
  if (isRelative && own === `${url.pathname}${url.search}`) return { kind: 'pass', location: undefined };
  if (own !== undefined) return { kind: 'pass', location: own };
  // A Location beside 201 is where the new thing lies, nowhere to go.
  if (!isRedirect) return { kind: 'pass', location: undefined };
  if (!isListed(url, redirect.hosts) || !['GET', 'HEAD'].includes(redirect.method)) throw refused();
  return { kind: 'follow', url };
}

/** https to a name on the list: an address would be no name that anybody vouches for. */
export function isListed(url: URL, hosts: readonly string[]): boolean {
  const host = url.hostname.toLowerCase();
  if (url.protocol !== 'https:' || isIpAddress(host)) return false;
  if (url.username !== '' || url.password !== '') return false;
  return hosts.some((listed) => (listed.startsWith('*.') ? host.endsWith(listed.slice(1)) : host === listed));
}

const refused = (): Refusal =>
  new Refusal(
    502,
    'redirect_refused',
    "The upstream redirects to a place that this credential's route does not list.",
  );

function parsed(location: string, base: string): URL | undefined {
  try {
    return new URL(location, base);
  } catch {
    return undefined;
  }
}
