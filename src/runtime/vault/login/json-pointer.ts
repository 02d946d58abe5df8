export interface Found {
  readonly value: unknown;
  /** The keys that "*" stood for, in order. */
  readonly keys: readonly string[];
}

/**
 * A JSON pointer (RFC 6901) in which a segment "*" stands for any key: those of `prefer` first, then as they stand. The
 * first that leads to a value counts. Undefined where nothing is there.
 */
export function resolvePointer(
  document: unknown,
  pointer: string,
  prefer: readonly string[] = [],
): Found | undefined {
  const segments = pointer
    .split('/')
    .slice(1)
    .map((segment) => (segment === '*' ? undefined : segment.replaceAll('~1', '/').replaceAll('~0', '~')));
  return resolve(document, segments, prefer, []);
}

/** The same pointer with the keys that another one found in place of its "*". */
export function withKeys(pointer: string, keys: readonly string[]): string {
  let next = 0;
  return pointer
    .split('/')
    .map((segment) => {
      if (segment !== '*') return segment;
      const key = keys[next];
      next += 1;
      return key === undefined ? segment : key.replaceAll('~', '~0').replaceAll('/', '~1');
    })
    .join('/');
}

function resolve(
  value: unknown,
  segments: readonly (string | undefined)[],
  prefer: readonly string[],
  keys: readonly string[],
): Found | undefined {
  if (segments.length === 0) return value === undefined || value === null ? undefined : { value, keys };
  const [segment, ...rest] = segments;
  const entries = entriesOf(value);
  if (segment !== undefined) {
    const own = entries.find(([key]) => key === segment);
    return own === undefined ? undefined : resolve(own[1], rest, prefer, keys);
  }
  const preferred = prefer.flatMap((key) => entries.filter(([name]) => name === key));
  for (const [key, inner] of [...preferred, ...entries]) {
    const found = resolve(inner, rest, prefer, [...keys, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

const entriesOf = (value: unknown): readonly (readonly [string, unknown])[] =>
  typeof value === 'object' && value !== null ? Object.entries(value) : [];
