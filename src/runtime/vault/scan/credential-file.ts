import path from 'node:path';
import { parse as parseYaml } from 'yaml';

/** A token of ours, with the beginning that its vendor's program looks for (`token_prefix` of a roster entry). */
const PHANTOM = /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{0,32}terokp[0-9a-f]{64}(?![0-9a-f])/g;

/** What vendors' keys and tokens begin with, as far as they say. */
const VENDOR_VALUES = [
  /sk-[A-Za-z0-9_-]{16,}/,
  /gh[opsru]_[A-Za-z0-9]{20,}/,
  /github_pat_[A-Za-z0-9_]{20,}/,
  /glpat-[A-Za-z0-9_-]{16,}/,
  /AIza[A-Za-z0-9_-]{30,}/,
  /ya29\.[A-Za-z0-9_-]{16,}/,
  /gsk_[A-Za-z0-9]{20,}/,
  /hf_[A-Za-z0-9]{20,}/,
  /AKIA[A-Z0-9]{16}/,
  /xox[abeoprs]-[A-Za-z0-9-]{16,}/,
  // A JSON web token with a signature (RFC 7515): one without proves nothing to anybody.
  /eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}/,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
];

const UNSIGNED_JWT = /^eyJ[A-Za-z0-9_-]*\.eyJ[A-Za-z0-9_-]*\.?$/;
const SECRET_NAME = /(?:token|key|secret|passw(?:or)?d|credential|cookie)s?$/i;
const SECRET_VALUE = /^[\u0021-\u007e]{12,}$/;

/**
 * Whether a file where a vendor's program keeps its credential holds one that looks real: neither empty, nor settings
 * alone, nor tokens of ours (`terokp` and 64 hexadecimal digits). What cannot be read as what its name says counts as
 * one. `name` is the file's; its ending tells the format.
 */
export function holdsCredential(content: Uint8Array, name: string): boolean {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return true;
  }
  const rest = text.replace(PHANTOM, '');
  if (rest.trim() === '') return false;
  if (VENDOR_VALUES.some((pattern) => pattern.test(rest))) return true;
  let value: unknown;
  try {
    value = parseAs(name, rest);
  } catch {
    return true;
  }
  return hasSecret(value, '', 0);
}

function parseAs(name: string, text: string): unknown {
  const base = path.basename(name);
  if (base.endsWith('.json')) return JSON.parse(text);
  if (/\.ya?ml$/.test(base)) return parseYaml(text, { maxAliasCount: 0 });
  return Object.fromEntries(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !/^[#;[]/.test(line))
      .map((line) => {
        const [, key = '', value = ''] = /^(?:export\s+)?([\w.-]+)\s*[=:]\s*(.*)$/.exec(line) ?? [];
        if (key === '') throw new Error('neither a setting nor a comment');
        return [key, value.replace(/^(["'])(.*)\1$/, '$2')];
      }),
  );
}

const MAX_DEPTH = 40;

function hasSecret(value: unknown, name: string, depth: number): boolean {
  if (depth > MAX_DEPTH) return true;
  if (typeof value === 'string')
    return SECRET_NAME.test(name) && SECRET_VALUE.test(value) && !UNSIGNED_JWT.test(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) =>
    // Entries of a list are what the list is called.
    hasSecret(inner, Array.isArray(value) ? name : key, depth + 1),
  );
}
