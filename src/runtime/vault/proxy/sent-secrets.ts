import type { LiveCredential } from '../parts.ts';
import { secretsOf } from '../stored-credential.ts';
import { secretForms } from './secret-forms.ts';

/** Of one credential: what counts, and what was renewed last, each with up to three secrets. */
const KEPT_SECRETS = 6;
const KEPT_CREDENTIALS = 64;

interface Sent {
  readonly byCredential: Map<string, readonly string[]>;
  forms: readonly Buffer[];
}

/**
 * Secrets that went to each upstream since this process began, whichever task asked: it may well keep what one request
 * showed it, and tell it to another, or after it was renewed. What another upstream was shown it cannot tell.
 */
export class SentSecrets {
  readonly #byOrigin = new Map<string, Sent>();

  /** Before it is sent. */
  add(origin: string, { info, credential }: LiveCredential): void {
    const sent = this.#byOrigin.get(origin) ?? { byCredential: new Map(), forms: [] };
    this.#byOrigin.set(origin, sent);
    const { byCredential } = sent;
    const key = JSON.stringify([info.provider, info.set]);
    const known = byCredential.get(key) ?? [];
    const added = secretsOf(credential).filter((secret) => !known.includes(secret));
    if (added.length === 0) return;
    byCredential.delete(key);
    byCredential.set(key, [...known, ...added].slice(-KEPT_SECRETS));
    const [oldest] = byCredential.keys();
    if (byCredential.size > KEPT_CREDENTIALS && oldest !== undefined) byCredential.delete(oldest);
    sent.forms = secretForms([...new Set([...byCredential.values()].flat())]);
  }

  /** In all the ways in which they could come back from there. */
  formsFor(origin: string): readonly Buffer[] {
    return this.#byOrigin.get(origin)?.forms ?? [];
  }
}
