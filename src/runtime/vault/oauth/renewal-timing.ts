import { createHash } from 'node:crypto';
import type { LiveCredential } from '../parts.ts';
import type { OAuthCredential } from '../stored-credential.ts';

const EARLY_MS = 10 * 60_000;
/** What our clock and the vendor's may differ by. */
const SKEW_MS = 30_000;

/** fresh: send it. early: send it, and renew it meanwhile. over: it must not be sent any more. */
export type Freshness = 'fresh' | 'early' | 'over';

/**
 * How long an access token is good for. One that does not say when it ends is fresh until its vendor refuses it. Tokens
 * that live for minutes are renewed in their last quarter: else each would be due at once.
 */
export function freshnessOf(
  { info, credential }: { readonly info: LiveCredential['info']; readonly credential: OAuthCredential },
  now: Date,
): Freshness {
  if (credential.expires_at === null) return 'fresh';
  const endsAtMs = credential.expires_at * 1000;
  const lifetimeMs = Math.max(0, endsAtMs - Date.parse(info.storedAt));
  const remainingMs = endsAtMs - now.getTime();
  if (remainingMs <= Math.min(SKEW_MS, lifetimeMs / 8)) return 'over';
  const earlyMs = Math.min(EARLY_MS, lifetimeMs / 4);
  return remainingMs <= earlyMs * (1 + 0.2 * jitterOf(info)) ? 'early' : 'fresh';
}

/** Whether the vendor would still take it, by its own word. */
export const stillLasts = ({ expires_at }: OAuthCredential, now: Date): boolean =>
  expires_at === null || expires_at * 1000 > now.getTime();

/** From 0 to 1, the same for one token at every look, so that it is not decided by who looks most often. */
function jitterOf({ provider, set, version, storedAt }: LiveCredential['info']): number {
  const digest = createHash('sha256')
    .update(JSON.stringify([provider, set, version, storedAt]))
    .digest();
  return digest.readUInt32BE(0) / 0xffff_ffff;
}
