import { z } from 'zod';
import type { RosterEntry } from '../../agents/contract.ts';
import { toSeconds } from '../oauth/vendor-time.ts';
import { SecretText, StoredCredential } from '../stored-credential.ts';
import { type Found, resolvePointer, withKeys } from './json-pointer.ts';
import { parseDocument } from './login-document.ts';

export type ExtractRule = NonNullable<RosterEntry['auth']>['extract'][number];

export type Extracted =
  | { readonly credential: StoredCredential; readonly problem?: undefined }
  /** In our own words, with names of fields and files, and never a value. */
  | { readonly credential?: undefined; readonly problem: string };

/** The field without which there is no credential of this kind. */
const REQUIRED = { oauth: 'access_token', api_key: 'key', oauth_token: 'token', pat: 'token' } as const;
/** Fields of an OAuth credential itself; all others are facts. */
const OAUTH_FIELDS = ['access_token', 'refresh_token', 'expires_at'];
const MAX_FACT_CHARS = 16_384;

/** Reads a credential out of the text of one file, as a rule of the roster says (pure). */
export function extractFrom(text: string, rule: ExtractRule): Extracted {
  const document = parseDocument(text, rule.format);
  if (document === undefined) return { problem: `${rule.file} is not ${rule.format.toUpperCase()}` };
  const required = REQUIRED[rule.kind];
  const pointer = rule.fields[required];
  const found = pointer === undefined ? undefined : resolvePointer(document, pointer, rule.prefer);
  if (found === undefined) return { problem: `${rule.file} has no ${required}` };
  const values = new Map<string, unknown>();
  for (const [field, place] of Object.entries(rule.fields)) {
    // All of one login: not the token of one host with the user of another.
    const value = resolvePointer(document, withKeys(place, found.keys), rule.prefer)?.value;
    if (value !== undefined) values.set(field, rule.milliseconds.includes(field) ? toSeconds(value) : value);
  }
  for (const field of ['access_token', 'refresh_token', 'key', 'token']) {
    const value = values.get(field);
    const isEmpty = value === '' && field === 'refresh_token';
    if (value !== undefined && !isEmpty && !SecretText.safeParse(value).success)
      return { problem: `${field} in ${rule.file} is not one line of visible characters` };
  }
  const credential = StoredCredential.safeParse(assemble(rule, values, found));
  return credential.success
    ? { credential: credential.data }
    : { problem: `${rule.file} has no usable ${credential.error.issues[0]?.path.join('.') || required}` };
}

function assemble(rule: ExtractRule, values: ReadonlyMap<string, unknown>, found: Found): unknown {
  switch (rule.kind) {
    case 'oauth':
      return {
        kind: 'oauth',
        access_token: values.get('access_token'),
        refresh_token: values.get('refresh_token') ?? '',
        expires_at: toSeconds(values.get('expires_at')),
        facts: Object.fromEntries(
          [...values].filter(([field, value]) => !OAUTH_FIELDS.includes(field) && isFact(value)),
        ),
      };
    case 'api_key':
      return { kind: 'api_key', key: values.get('key') };
    case 'oauth_token':
    case 'pat': {
      const host = values.get('host') ?? found.keys[0];
      return { kind: rule.kind, token: values.get('token'), host: typeof host === 'string' ? host : null };
    }
  }
}

/** Facts are sealed with the rest, and small. */
function isFact(value: unknown): boolean {
  try {
    return JSON.stringify(value).length <= MAX_FACT_CHARS && z.json().safeParse(value).success;
  } catch {
    // Nested so deeply that nobody can look through it.
    return false;
  }
}
