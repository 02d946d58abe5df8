import type { CredentialInfo } from '../contract.ts';

const WINDOW_MS = 10 * 60_000;
const MAX_RENEWALS = 5;

/**
 * A vendor may say 401 to a fresh token, for what it is not meant for. An agent that asks for that again and again must
 * not make as many renewals of it.
 */
export class RefusalLimit {
  readonly #times = new Map<string, { readonly version: number; readonly atMs: number }[]>();

  /** Counts each version once, however many had it refused. */
  mayRenew({ provider, set, version }: CredentialInfo, now: Date): boolean {
    const key = JSON.stringify([set, provider]);
    const recent = (this.#times.get(key) ?? []).filter(
      // What is yet to come is from before the clock was set back.
      ({ atMs }) => atMs <= now.getTime() && now.getTime() - atMs < WINDOW_MS,
    );
    this.#times.set(key, recent);
    if (recent.some((one) => one.version === version)) return true;
    if (recent.length >= MAX_RENEWALS) return false;
    recent.push({ version, atMs: now.getTime() });
    return true;
  }
}
