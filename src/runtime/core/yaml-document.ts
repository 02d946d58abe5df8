import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
  parseDocument,
} from 'yaml';
import { isPrototypeKey } from './deep-merge.ts';
import { InvalidInputError } from './errors.ts';
import { cleanLine, cleanText } from './untrusted-text.ts';

export type KeyPath = readonly PropertyKey[];

/** What is wrong at one place of a file, ready to be shown. */
export interface DocumentProblem {
  /** 1-based. */
  readonly line: number;
  /** Like `run.memory`; empty for the document as a whole. */
  readonly key: string;
  readonly problem: string;
}

export interface YamlDocument {
  /** Plain data; `null` for an empty document. */
  readonly value: unknown;
  /** 1-based line of a key or element; for one that is missing, that of the nearest one around it. */
  lineOf(path: KeyPath): number;
  has(path: KeyPath): boolean;
}

export type YamlResult =
  | { readonly document: YamlDocument; readonly problems?: undefined }
  | { readonly document?: undefined; readonly problems: readonly DocumentProblem[] };

/** Deeper than any setting; below what would exhaust the stack of whoever walks the value. */
const MAX_DEPTH = 64;
/** The document and the innermost value stand on the parser's stack as well. */
const MAX_STACK = MAX_DEPTH + 4;
const MAX_ALIASES = 50;
const MAX_VALUES = 1_000_000;
const MAX_PROBLEMS = 20;
const TOO_DEEP = 'is nested too deeply';
const ALIAS_BOMB = 'its aliases (*name) expand to too much';
const NO_ALIASES = 'aliases (*name) cannot be used';

/**
 * Reads one YAML document strictly: a key given twice, an unknown tag, a key that reaches an object's prototype,
 * aliases that multiply and nesting without end are problems, each with its line. Never throws.
 *
 * @param options.firstLine line of the file at which the text begins, where it is part of a larger one. Default 1.
 * @param options.maxAliases how often an alias may stand for something. Default 50.
 */
export function parseYaml(
  text: string,
  options: { readonly firstLine?: number; readonly maxAliases?: number } = {},
): YamlResult {
  const before = (options.firstLine ?? 1) - 1;
  const lines = new LineCounter();
  const lineAt = (offset: number): number => before + Math.max(1, lines.linePos(offset).line);
  const failure = (line: number, problem: string): YamlResult => ({ problems: [{ line, key: '', problem }] });
  try {
    const tooDeepAt = findDepth(text);
    if (tooDeepAt !== undefined) {
      return failure(before + text.slice(0, tooDeepAt).split('\n').length, TOO_DEEP);
    }
    const parsed = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      // The library compares every key with every other; `findTrap` looks each up once.
      uniqueKeys: false,
      merge: false,
    });
    const problems = [...parsed.errors, ...parsed.warnings].slice(0, MAX_PROBLEMS).map((error) => ({
      line: lineAt(error.pos[0]),
      key: '',
      problem: `not valid YAML: ${cleanLine(error.message)}`,
    }));
    if (problems.length > 0) return { problems };
    const trap = findTrap(parsed.contents, [], new Set());
    if (trap !== undefined) {
      return {
        problems: [{ line: lineAt(trap.offset), key: showKey(trap.path), problem: trap.problem }],
      };
    }
    const value = toPlain(parsed, options.maxAliases ?? MAX_ALIASES);
    if (value === undefined) return failure(before + 1, options.maxAliases === 0 ? NO_ALIASES : ALIAS_BOMB);
    const budget = { values: MAX_VALUES };
    if (!isTree(value.plain, budget)) return failure(before + 1, ALIAS_BOMB);
    return {
      document: {
        value: value.plain,
        lineOf: (path) => lineAt(locate(parsed, path).offset),
        has: (path) => locate(parsed, path).isThere,
      },
    };
  } catch (error) {
    if (error instanceof RangeError) return failure(before + 1, TOO_DEEP);
    throw error;
  }
}

/**
 * Where the text nests too deeply, found by the library's parser, which keeps a stack of its own. To be asked before
 * the document is composed: that calls itself at each level, and a regular expression that is compiled when the
 * process's stack is nearly exhausted ends the process, with no error to catch.
 */
function findDepth(text: string): number | undefined {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const _token of parser.next(lexeme)) {
      // What it finds is of no interest, only how deep it is.
    }
    if (parser.stack.length > MAX_STACK) return parser.offset;
  }
  return undefined;
}

export const showKey = (path: KeyPath): string => path.map((part) => cleanLine(String(part), 80)).join('.');

/** One error for all problems of a file: the first in its message, the others in its details. */
export function documentError(file: string, problems: readonly DocumentProblem[]): InvalidInputError {
  const [first = `${file}: is not valid`, ...others] = problems.map(
    ({ line, key, problem }) => `${file}:${line}: ${key === '' ? '' : `${key}: `}${problem}`,
  );
  return new InvalidInputError(others.length === 0 ? first : `${first} (and ${others.length} more)`, {
    hint: `Correct ${file}.`,
    ...(others.length === 0 ? {} : { details: cleanText(others.slice(0, MAX_PROBLEMS).join('\n')) }),
  });
}

/** Aliases may nest into gigabytes; the library counts and refuses. */
function toPlain(document: Document.Parsed, maxAliasCount: number): { readonly plain: unknown } | undefined {
  try {
    const plain: unknown = document.toJS({ maxAliasCount });
    return { plain };
  } catch (error) {
    if (error instanceof RangeError) throw error;
    return undefined;
  }
}

/** Whether a value ends: an alias may stand for what it is part of. */
function isTree(value: unknown, budget: { values: number }, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth > MAX_DEPTH) return false;
  const inner: readonly unknown[] = Object.values(value);
  budget.values -= inner.length;
  return budget.values >= 0 && inner.every((part) => isTree(part, budget, depth + 1));
}

interface Trap {
  readonly path: KeyPath;
  readonly offset: number;
  readonly problem: string;
}

function findTrap(node: unknown, path: KeyPath, anchors: Set<string>): Trap | undefined {
  const offset = offsetOf(node) ?? 0;
  const trap = (problem: string): Trap => ({ path: path.slice(0, 5), offset, problem });
  if (path.length > MAX_DEPTH) return trap(TOO_DEEP);
  if (isAlias(node)) return anchors.has(node.source) ? undefined : trap(`there is no &${node.source} before`);
  if (isNode(node)) {
    if (node.tag !== undefined && !PLAIN_TAGS.test(node.tag)) return trap('is no plain value');
    if ('anchor' in node && node.anchor !== undefined) anchors.add(node.anchor);
  }
  if (isSeq(node)) {
    return firstOf(node.items.entries(), ([index, item]) => findTrap(item, [...path, index], anchors));
  }
  if (!isMap(node)) return undefined;
  const seen = new Set<string>();
  return firstOf(node.items, ({ key, value }) => {
    const name = keyText(key);
    const at = { path: [...path, name], offset: offsetOf(key) ?? offset };
    if (!isScalar(key)) return { ...at, problem: 'a key must be a text' };
    if (seen.has(name)) return { ...at, problem: 'stands there twice' };
    if (isPrototypeKey(name)) return { ...at, problem: 'cannot be a key' };
    seen.add(name);
    return findTrap(value, at.path, anchors);
  });
}

/** What JSON has as well: no bytes, dates or sets. */
const PLAIN_TAGS = /^(?:!|tag:yaml\.org,2002:(?:map|seq|str|null|bool|int|float))$/;

function firstOf<T, R>(items: Iterable<T>, find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

const keyText = (key: unknown): string => String(isScalar(key) ? key.value : key);

const offsetOf = (node: unknown): number | undefined => (isNode(node) ? node.range?.[0] : undefined);

function locate(document: Document.Parsed, path: KeyPath): { offset: number; isThere: boolean } {
  let node: unknown = document.contents;
  let offset = offsetOf(node) ?? 0;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(part));
      if (pair === undefined) return { offset, isThere: false };
      offset = offsetOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number' && part < node.items.length) {
      node = node.items[part];
      offset = offsetOf(node) ?? offset;
    } else return { offset, isThere: false };
  }
  return { offset, isThere: true };
}
