import type { CredentialKind, CredentialRoute } from '../../agents/contract.ts';
import { type HeaderPair, plainName } from './header-pairs.ts';
import { Refusal } from './refusal.ts';

type Rules = Pick<CredentialRoute, 'rules' | 'graphql'>;

/** Throws Refusal unless the route lets this be asked for. Paths are compared as they came: what is encoded fits no rule. */
export function checkRules(
  route: Rules,
  request: {
    readonly method: string;
    readonly path: string;
    /** undefined: as long as that is not known, any will do. */
    readonly kind?: CredentialKind | undefined;
  },
): void {
  if (route.rules === undefined || isGraphql(route, request.path)) return;
  const isAllowed = route.rules.some(
    ({ methods, path, kinds }) =>
      (methods === undefined || methods.includes(request.method)) &&
      (kinds === undefined || request.kind === undefined || kinds.includes(request.kind)) &&
      matches(path, request.path),
  );
  if (!isAllowed) {
    throw new Refusal(403, 'not_allowed', 'This credential may not be used for that request in a task.');
  }
}

/** Also where a lenient server would take the path for it. */
export function isGraphql(route: Pick<CredentialRoute, 'graphql'>, path: string): boolean {
  return route.graphql !== undefined && plain(path) === plain(route.graphql);
}

function plain(path: string): string {
  const decoded = path.replace(/%([0-9A-Fa-f]{2})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return decoded
    .toLowerCase()
    .replace(/;[^/]*/g, '')
    .replace(/(?!^)\/+$/, '');
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  for (const [index, segment] of wanted.entries()) {
    const own = given[index];
    if (segment === '**' && index === wanted.length - 1) return given.length > index && own !== '';
    if (own === undefined || (segment === '*' ? own === '' : segment !== own)) return false;
  }
  return given.length === wanted.length;
}

/** By these some servers take another method, or another path, than the request line says. */
const OVERRIDES = new Set([
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'x-original-method',
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
]);

/** Throws Refusal for what would make another request of it than the rules were asked about. */
export function checkNoOverride(headers: readonly HeaderPair[], query: string): void {
  const isOther =
    headers.some(([name]) => OVERRIDES.has(plainName(name))) ||
    /[?&;](?:_method|(?:%24|\$)httpMethod)(?:=|&|$)/i.test(query);
  if (isOther) throw new Refusal(403, 'not_allowed', 'A request must be what its first line says.');
}
