import { parse } from 'yaml';
import { parseTomlSubset } from './toml-subset.ts';

export type DocumentFormat = 'json' | 'yaml' | 'toml' | 'dotenv';

/** What a file of a login holds, as plain values; undefined for text that is not of its format. Never throws. */
export function parseDocument(text: string, format: DocumentFormat): unknown {
  try {
    switch (format) {
      case 'json':
        return JSON.parse(text);
      case 'yaml':
        return parse(text, { maxAliasCount: 20, logLevel: 'silent' });
      case 'toml':
        return parseTomlSubset(text);
      case 'dotenv':
        return parseDotenv(text);
    }
  } catch {
    return undefined;
  }
}

/** The first of several values of one name counts; an empty one is none. */
function parseDotenv(text: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = Object.create(null);
  for (const line of text.split(/\r?\n/)) {
    const [, name, raw = ''] = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$/.exec(line) ?? [];
    const value = raw.trim().replace(/^(["'])(.*)\1$/, '$2');
    if (name !== undefined && value !== '') values[name] ??= value;
  }
  return values;
}
