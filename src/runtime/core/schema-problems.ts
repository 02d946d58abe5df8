import { z } from 'zod';
import { INHERIT, isMapping } from './deep-merge.ts';
import { nearestNames } from './nearest.ts';
import { cleanLine } from './untrusted-text.ts';
import { type DocumentProblem, type KeyPath, showKey, type YamlDocument } from './yaml-document.ts';

type Issue = z.core.$ZodIssue;

export interface SchemaProblem {
  readonly path: KeyPath;
  readonly problem: string;
}

export type Checked<T> =
  | { readonly data: T; readonly problems?: undefined }
  | { readonly data?: undefined; readonly problems: readonly SchemaProblem[] };

/** Parses a value; what is wrong is told in our own words, an unknown key with the nearest known ones. */
export function checkValue<S extends z.ZodType>(schema: S, value: unknown): Checked<z.output<S>> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return { data: parsed.data };
  return { problems: parsed.error.issues.flatMap((issue) => describe(issue, schema, [])) };
}

/**
 * Problems of a file before it is laid over another, which the result would no longer show: a mistyped key whose
 * value is `null` or `_inherit`, since that takes the key away, and a section whose keys are all commented out,
 * which would take away all that is inherited.
 */
export function checkUnsetKeys(schema: z.ZodType, value: unknown, path: KeyPath = []): SchemaProblem[] {
  if (!isMapping(value)) return [];
  const known = knownKeys(schema, path);
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = [...path, key];
    if (inner !== null && inner !== INHERIT) return checkUnsetKeys(schema, inner, at);
    if (inner === null && path.length === 0 && knownKeys(schema, at).length > 0) {
      return [{ path: at, problem: 'is empty; leave it out, or give it keys' }];
    }
    if (known.length === 0 || known.includes(key)) return [];
    return [{ path: at, problem: unknownKey(key, schema, path) }];
  });
}

/** Gives each problem the line of the key it is about. */
export function locateProblems(
  document: YamlDocument,
  problems: readonly SchemaProblem[],
): readonly DocumentProblem[] {
  return problems.map(({ path, problem }) => ({ line: document.lineOf(path), key: showKey(path), problem }));
}

const NOUNS: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  null: 'null',
};

function describe(issue: Issue, schema: unknown, above: KeyPath): readonly SchemaProblem[] {
  const path = [...above, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], problem: unknownKey(key, schema, path) }));
    case 'invalid_type': {
      if (issue.input === undefined) return [{ path, problem: 'is missing' }];
      return [{ path, problem: `must be ${NOUNS[issue.expected] ?? `a ${issue.expected}`}` }];
    }
    case 'invalid_value':
      return [{ path, problem: `must be ${either(issue.values.map((value) => `"${String(value)}"`))}` }];
    case 'invalid_union':
      return describeUnion(issue, schema, path);
    case 'invalid_key':
      return issue.issues.map((inner) => ({ path, problem: `the name: ${cleanLine(inner.message)}` }));
    case 'too_small':
      return [{ path, problem: `must ${measure(issue.origin)} at least ${String(issue.minimum)}` }];
    case 'too_big':
      return [{ path, problem: `must ${measure(issue.origin)} at most ${String(issue.maximum)}` }];
    default:
      return [{ path, problem: cleanLine(issue.message) }];
  }
}

const measure = (origin: string): string =>
  origin === 'string' ? 'have a length of' : origin === 'array' ? 'have a number of elements of' : 'be';

/** Of all alternatives only the one that was meant is told: that whose type fits and that fails further in. */
function describeUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  schema: unknown,
  path: KeyPath,
): readonly SchemaProblem[] {
  const alternatives = issue.errors.map((issues) => issues.flatMap((inner) => describe(inner, schema, path)));
  const misses = issue.errors.map((issues) => issues.some((inner) => isOtherType(inner)));
  const meant = alternatives.filter((_, index) => misses[index] === false);
  const [best] = meant.toSorted((a, b) => depth(b) - depth(a));
  if (best !== undefined && best.length > 0) return best;
  if (alternatives.length === 0) {
    // A discriminated union: the path is that of the key that tells which.
    const options = literalsAt(schema, path);
    return [{ path, problem: options.length > 0 ? `must be ${either(options)}` : cleanLine(issue.message) }];
  }
  const wanted = alternatives.flatMap((problems) =>
    problems
      .filter((entry) => entry.path.length === path.length && entry.problem.startsWith('must be '))
      .map(({ problem }) => problem.slice('must be '.length)),
  );
  return [
    {
      path,
      problem: wanted.length > 0 ? `must be ${either([...new Set(wanted)])}` : cleanLine(issue.message),
    },
  ];
}

function isOtherType(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_union') return issue.errors.every((issues) => issues.some(isOtherType));
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

const depth = (problems: readonly SchemaProblem[]): number =>
  Math.max(0, ...problems.map(({ path }) => path.length));

const either = (names: readonly string[]): string => names.join(' or ');

function unknownKey(key: string, schema: unknown, path: KeyPath): string {
  // Itself among them: one that has its place where something else was chosen.
  const near = nearestNames(key, knownKeys(schema, path)).filter((name) => name !== key);
  const suggestion = near.length === 0 ? '' : `; did you mean ${either(near.map((name) => `"${name}"`))}?`;
  return `is no known key${suggestion}`;
}

/** Empty where other keys may stand as well. */
function knownKeys(schema: unknown, path: KeyPath): readonly string[] {
  const keys = schemasAt(schema, path).flatMap((inner) =>
    inner instanceof z.ZodObject && inner.def.catchall instanceof z.ZodNever ? Object.keys(inner.shape) : [],
  );
  return [...new Set(keys)];
}

function literalsAt(schema: unknown, path: KeyPath): readonly string[] {
  return schemasAt(schema, path).flatMap((inner) =>
    inner instanceof z.ZodLiteral ? [...inner.values].map((value) => `"${String(value)}"`) : [],
  );
}

/** Every schema that may stand at a place. */
function schemasAt(schema: unknown, path: KeyPath): readonly unknown[] {
  const inner = alternativesOf(schema);
  const [part, ...rest] = path;
  if (part === undefined) return inner;
  return inner.flatMap((candidate) => {
    if (candidate instanceof z.ZodObject) {
      const shape: Readonly<Record<string, unknown>> = candidate.shape;
      const name = String(part);
      return Object.hasOwn(shape, name) ? schemasAt(shape[name], rest) : [];
    }
    if (candidate instanceof z.ZodRecord) return schemasAt(candidate.valueType, rest);
    if (candidate instanceof z.ZodArray) return schemasAt(candidate.element, rest);
    return [];
  });
}

function alternativesOf(schema: unknown): readonly unknown[] {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly
  ) {
    return alternativesOf(schema.unwrap());
  }
  if (schema instanceof z.ZodPipe) return alternativesOf(schema.in);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(alternativesOf);
  return [schema];
}
