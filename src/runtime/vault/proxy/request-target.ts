import { Refusal } from './refusal.ts';

export interface RequestTarget {
  /** Begins with a slash; bytes as they came. */
  readonly path: string;
  /** With its question mark; empty where there is none. */
  readonly query: string;
}

/** Splits a request line's target. Throws Refusal for anything but a path on this server. */
export function splitTarget(target: string): RequestTarget {
  if (!target.startsWith('/'))
    throw new Refusal(400, 'bad_path', 'Only paths of this server can be asked for.');
  const mark = target.indexOf('?');
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark) };
}

/**
 * Throws Refusal for a path that two servers could read as two places: what passes is forwarded byte for byte, so it
 * must mean to the upstream what it meant to the rules here. Anything not understood is refused.
 */
export function checkPath(path: string, options: { readonly hasEncodedSlashes: boolean }): void {
  const problem = problemOf(path, options.hasEncodedSlashes);
  if (problem !== undefined) throw new Refusal(400, 'bad_path', `The path ${problem}.`);
}

function problemOf(path: string, hasEncodedSlashes: boolean): string | undefined {
  if (/[\u0000-\u0020\u007f\\#]/.test(path)) return 'holds a control character, a space, "\\" or "#"';
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return 'holds a "%" that encodes nothing';
  if (/%(?:[01][0-9A-Fa-f]|7[fF])/.test(path)) return 'holds an encoded control character';
  if (/%5[cC]/.test(path)) return 'holds an encoded "\\"';
  // Never part of UTF-8: lenient decoders make a dot or a slash of them.
  if (/%[cC][01]/.test(path)) return 'holds an overlong character';
  if (/%25(?:2[eEfF]|5[cC]|25)/.test(path)) return 'is encoded twice';
  if (!hasEncodedSlashes && /%2[fF]/.test(path)) return 'holds an encoded slash';
  if (path.includes('//')) return 'has an empty segment';
  const segments = path.replace(/%2[fF]/g, '/').split('/');
  // Some servers cut parameters off ("..;a=b") before they resolve dots.
  const isDots = (segment: string): boolean => /^(?:\.|%2[eE]){1,2}(?:;.*|%3[bB].*)?$/.test(segment);
  if (segments.some(isDots)) return 'has "." or ".." for a segment';
  return undefined;
}

const PHANTOM_IN_QUERY = /terokp[0-9a-f]{64}/;

/** Whether somebody tries to pass a token in the query, which vendors write into logs. */
export function hasTokenInQuery(query: string, hasTokenInHeader: boolean): boolean {
  if (PHANTOM_IN_QUERY.test(query)) return true;
  return !hasTokenInHeader && /[?&](?:key|api_key|apikey|access_token|private_token)=/i.test(query);
}
