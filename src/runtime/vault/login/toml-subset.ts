const HEADER = /^\[\s*([A-Za-z0-9_."'-]+)\s*\]$/;
const PAIR = /^([A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')\s*=\s*(.+)$/;
const STRING = /^(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$/;
const NUMBER = /^(-?\d+(?:\.\d+)?)\s*(?:#.*)?$/;
const KEY = /"[^"]*"|'[^']*'|[A-Za-z0-9_-]+/g;

/**
 * The part of TOML that programs keep a login in: tables, and strings, numbers and truth values on one line. Other lines
 * are left out, so what is not understood is missing and not misread.
 */
export function parseTomlSubset(text: string): Readonly<Record<string, unknown>> {
  const root: Record<string, unknown> = Object.create(null);
  let table: Record<string, unknown> | undefined = root;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    const header = HEADER.exec(line)?.[1];
    if (line.startsWith('[')) {
      table = header === undefined ? undefined : tableAt(root, (header.match(KEY) ?? []).map(bare));
      continue;
    }
    const [, key, value] = PAIR.exec(line) ?? [];
    const parsed = value === undefined ? undefined : scalar(value);
    if (table !== undefined && key !== undefined && parsed !== undefined) table[bare(key)] = parsed;
  }
  return root;
}

function tableAt(
  root: Record<string, unknown>,
  keys: readonly string[],
): Record<string, unknown> | undefined {
  let table: Record<string, unknown> = root;
  for (const key of keys) {
    const next: unknown = table[key] ?? Object.create(null);
    if (!isTable(next)) return undefined;
    table[key] = next;
    table = next;
  }
  return table;
}

function scalar(text: string): string | number | boolean | undefined {
  const [, basic, literal] = STRING.exec(text) ?? [];
  if (literal !== undefined) return literal;
  if (basic !== undefined) return unescaped(basic);
  const number = NUMBER.exec(text)?.[1];
  if (number !== undefined) return Number(number);
  const word = text.replace(/\s*#.*$/, '');
  return word === 'true' ? true : word === 'false' ? false : undefined;
}

/** TOML's escapes are those of JSON, but for two that no credential has. */
function unescaped(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(`"${text.replaceAll('\t', '\\t')}"`);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

const bare = (key: string): string => key.replace(/^["']|["']$/g, '');

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
