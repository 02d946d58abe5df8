import { programCookie, withoutDoorCookies } from './door-key.ts';

/** By lower-case name, each value by itself. */
export type Headers = Readonly<Record<string, readonly string[] | undefined>>;

/** About one connection and not about the message (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
/** Where a body ends is not for a sender to hide: what follows would be taken for a request of its own. */
const FRAMING = 'content-length';
/** What Node has answered by itself. */
const ANSWERED = ['expect'];
/** What a program would say for the whole address: for other tasks that have it later, and for other ports. */
const BEYOND_THE_TASK = ['alt-svc', 'clear-site-data', 'service-worker-allowed', 'strict-transport-security'];

/** What the program gets of a request (pure). The framing of its body is the caller's. */
export function requestHeaders(headers: Headers): Record<string, string[]> {
  const kept = without(headers, [...HOP_BY_HOP, ...ANSWERED]);
  const cookie = withoutDoorCookies(headers['cookie']?.join('; '));
  return cookie === undefined ? omit(kept, 'cookie') : { ...kept, cookie: [cookie] };
}

/** What the browser gets of a program's answer (pure). */
export function responseHeaders(headers: Headers): Record<string, string[]> {
  const kept = without(headers, [...HOP_BY_HOP, ...BEYOND_THE_TASK]);
  const cookies = (headers['set-cookie'] ?? []).flatMap((cookie) => programCookie(cookie) ?? []);
  return cookies.length === 0 ? omit(kept, 'set-cookie') : { ...kept, 'set-cookie': cookies };
}

function without(headers: Headers, names: readonly string[]): Record<string, string[]> {
  const named = (headers['connection'] ?? []).flatMap((value) =>
    value.split(',').map((name) => name.trim().toLowerCase()),
  );
  const dropped = new Set([...names, ...named.filter((name) => name !== FRAMING)]);
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, values]) =>
      values === undefined || dropped.has(name) ? [] : [[name, [...values]]],
    ),
  );
}

const omit = (headers: Record<string, string[]>, name: string): Record<string, string[]> =>
  Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));
