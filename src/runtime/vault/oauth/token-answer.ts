import { z } from 'zod';
import { cleanLine } from '../../core/untrusted-text.ts';
import type { ExchangeOutcome } from '../parts.ts';
import { type OAuthCredential, SecretText } from '../stored-credential.ts';
import { toSeconds } from './vendor-time.ts';

/** What a token endpoint said, or that it said nothing. Holds tokens: sealed wherever it is kept. */
export const EndpointWord = z.union([
  z.strictObject({ status: z.int(), body: z.string(), at: z.string() }),
  z.strictObject({ unreachable: z.string() }),
]);
export type EndpointWord = z.infer<typeof EndpointWord>;

const Tokens = z.object({
  access_token: SecretText,
  refresh_token: z.union([SecretText, z.literal(''), z.null()]).optional(),
  expires_in: z.unknown().optional(),
  expires_at: z.unknown().optional(),
  id_token: SecretText.optional().catch(undefined),
});
/** RFC 6749, section 5.2; some vendors put an object there. */
const Refusal = z.object({ error: z.union([z.string(), z.looseObject({ code: z.string().optional() })]) });

/** Codes of an error that are words and not part of a token. */
const ERROR_CODE = /^[a-z][a-z_ -]{0,60}$/i;
const PASSING = [408, 425, 429];

/**
 * What an answer comes to. Whatever is missing in it stays as it was: a vendor that sends no new refresh token goes on
 * with the old one. Reasons are in our own words, but for the code of an OAuth error.
 */
export function readAnswer(word: EndpointWord, before: OAuthCredential): ExchangeOutcome {
  if ('unreachable' in word) return { kind: 'unreachable', reason: cleanLine(word.unreachable) };
  const { status } = word;
  const body = parseJson(word.body);
  if (status >= 200 && status < 300) {
    const tokens = Tokens.safeParse(body);
    if (tokens.success) return { kind: 'renewed', credential: merged(tokens.data, word.at, before) };
    return { kind: 'unreachable', reason: `the token endpoint answered ${status} without a token` };
  }
  const refusal = Refusal.safeParse(body);
  const code = refusal.success ? codeOf(refusal.data.error) : undefined;
  const reason = `the token endpoint answered ${status}${code === undefined ? '' : ` (${code})`}`;
  // A firewall's page or an overloaded front says nothing about the token.
  const isPage = /^\s*</.test(word.body);
  const isAboutToken = !isPage && (status === 400 || status === 401 || (refusal.success && status < 500));
  return isAboutToken && status >= 400 && !PASSING.includes(status)
    ? { kind: 'refused', reason }
    : { kind: 'unreachable', reason };
}

function merged(tokens: z.infer<typeof Tokens>, at: string, before: OAuthCredential): OAuthCredential {
  const expiresIn = toNumber(tokens.expires_in);
  return {
    ...before,
    access_token: tokens.access_token,
    refresh_token: tokens.refresh_token || before.refresh_token,
    expires_at:
      expiresIn !== undefined && expiresIn > 0
        ? Math.floor(Date.parse(at) / 1000 + expiresIn)
        : toSeconds(tokens.expires_at),
    facts: tokens.id_token === undefined ? before.facts : { ...before.facts, id_token: tokens.id_token },
  };
}

const toNumber = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
};

function codeOf(error: z.infer<typeof Refusal>['error']): string | undefined {
  const code = typeof error === 'string' ? error : error.code;
  return code !== undefined && ERROR_CODE.test(code) ? code : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
