import type { DoorKey } from './door-key.ts';

/** What decides about a request; header values as they came, undefined where absent. */
export interface Arrival {
  readonly method: string;
  /** Request target as it stands in the first line. */
  readonly target: string;
  readonly isUpgrade: boolean;
  readonly host: readonly string[];
  readonly origin: string | undefined;
  readonly cookie: string | undefined;
  /** `Sec-Fetch-Site`, `-Mode` and `-Dest`: what a browser says of where a request comes from. */
  readonly fetchSite: string | undefined;
  readonly fetchMode: string | undefined;
  readonly fetchDest: string | undefined;
  /** `Service-Worker: script` asks for a program that would answer for this address from then on. */
  readonly serviceWorker: string | undefined;
}

export type Verdict =
  | { readonly kind: 'forward'; readonly target: string }
  /** The token was right: it becomes a cookie and goes from the address. */
  | {
      readonly kind: 'enter';
      readonly token: string;
      readonly location: string;
      readonly isFromElsewhere: boolean;
    }
  | { readonly kind: 'refuse'; readonly status: 400 | 401 | 403 | 421; readonly reason: string };

const LOOPBACK_NAMES = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * Decides about one request (pure). The browser that brings the cookie may also show pages of others, so the
 * cookie alone is not enough: the address must be ours (DNS rebinding), and the page that asks as well. Whatever
 * is not understood is refused.
 */
export function admit(arrival: Arrival, door: { readonly key: DoorKey; readonly publicUrl: URL }): Verdict {
  const [host, ...more] = arrival.host;
  if (host === undefined || more.length > 0) return refuse(400, 'A request names one host.');
  if (!arrival.target.startsWith('/')) return refuse(400, 'This is not a proxy.');
  const hostName = nameOf(host);
  if (hostName === undefined || !(LOOPBACK_NAMES.has(hostName) || hostName === door.publicUrl.hostname)) {
    return refuse(421, 'This address is not served here.');
  }
  const { key } = door;
  const { rest, token } = takeToken(arrival.target, key);
  const isLooking = arrival.method === 'GET' || arrival.method === 'HEAD';
  if (token !== undefined && isLooking && !arrival.isUpgrade) {
    return { kind: 'enter', token, location: relativeTo(rest), isFromElsewhere: isFromElsewhere(arrival) };
  }
  if (!key.isAmong(arrival.cookie)) {
    return refuse(401, 'Open the address with the token that was shown when the task started.');
  }
  if (!isOwnPage(arrival, host, door.publicUrl)) return refuse(403, 'Another page asked for this.');
  if (arrival.serviceWorker !== undefined) {
    // It would outlive the task, and answer for whichever task has this port next.
    return refuse(403, 'Service workers are not installed from a task.');
  }
  return { kind: 'forward', target: rest };
}

const refuse = (status: 400 | 401 | 403 | 421, reason: string): Verdict => ({
  kind: 'refuse',
  status,
  reason,
});

function nameOf(host: string): string | undefined {
  return /^([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i.exec(host)?.[1]?.toLowerCase();
}

const isFromElsewhere = ({ fetchSite }: Arrival): boolean =>
  fetchSite === 'cross-site' || fetchSite === 'same-site';

/**
 * Another port of this machine is the same site to a browser, so cookies go along with what its pages ask. A
 * person who follows a link is let through; frames and everything a script can cause are not.
 */
function isOwnPage(arrival: Arrival, host: string, publicUrl: URL): boolean {
  const { method, origin, isUpgrade, fetchMode, fetchDest } = arrival;
  if (isUpgrade || (method !== 'GET' && method !== 'HEAD')) {
    if (origin !== undefined && !isOwnOrigin(origin, host, publicUrl)) return false;
  }
  if (!isFromElsewhere(arrival)) return true;
  return method === 'GET' && !isUpgrade && fetchMode === 'navigate' && fetchDest === 'document';
}

function isOwnOrigin(origin: string, host: string, publicUrl: URL): boolean {
  if (origin === publicUrl.origin) return true;
  return origin === `http://${host}` || origin === `https://${host}`;
}

/** A target without our token. A parameter of that name that is not ours belongs to the program. */
function takeToken(
  target: string,
  key: DoorKey,
): { readonly rest: string; readonly token: string | undefined } {
  const start = target.indexOf('?');
  if (start < 0) return { rest: target, token: undefined };
  const path = target.slice(0, start);
  let token: string | undefined;
  const kept = target
    .slice(start + 1)
    .split('&')
    .filter((parameter) => {
      if (!parameter.startsWith('token=') || !key.fits(parameter.slice('token='.length))) return true;
      token = parameter.slice('token='.length);
      return false;
    });
  if (token === undefined) return { rest: target, token };
  return { rest: kept.length === 0 ? path : `${path}?${kept.join('&')}`, token };
}

/**
 * The same address, as a reference that is relative to itself: right behind a proxy that takes a prefix away, and
 * never another host, whatever the path looks like.
 */
function relativeTo(target: string): string {
  const start = target.indexOf('?');
  const path = start < 0 ? target : target.slice(0, start);
  const last = path.slice(path.lastIndexOf('/') + 1);
  return `./${last}${start < 0 ? '' : target.slice(start)}`;
}
