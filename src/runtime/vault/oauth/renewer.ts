import { CancelledError, CommandError, HostError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { cleanLine } from '../../core/untrusted-text.ts';
import type { CredentialInfo } from '../contract.ts';
import type { LiveCredential, LiveCredentials, Renewal } from '../parts.ts';
import type { OAuthCredential } from '../stored-credential.ts';
import { BackOff } from './back-off.ts';
import { howToLogIn } from './log-in-again.ts';
import { RefusalLimit } from './refusal-limit.ts';
import { type RenewalDeps, RenewalSteps } from './renewal-steps.ts';
import { freshnessOf, stillLasts } from './renewal-timing.ts';

export interface RenewerDeps extends RenewalDeps {
  readonly log: Logger;
  /** From 0 to 1; default Math.random. */
  readonly random?: () => number;
}

interface LiveOAuth {
  readonly info: CredentialInfo;
  readonly credential: OAuthCredential;
}

interface Flight {
  readonly version: number;
  /** Why nothing came of it; undefined: what the store holds now counts. */
  readonly landed: Promise<string | undefined>;
}

/**
 * The only one who renews OAuth tokens. However many ask, one exchange runs for a credential, and a new token is stored
 * before anybody gets it. `start` also takes up what an earlier run of the daemon left under way.
 */
export class Renewer implements LiveCredentials, Disposable {
  readonly #deps: RenewerDeps;
  readonly #steps: RenewalSteps;
  readonly #backOff: BackOff;
  readonly #refusals = new RefusalLimit();
  readonly #flights = new Map<string, Flight>();
  #stopListening: (() => void) | undefined;

  constructor(deps: RenewerDeps) {
    this.#deps = deps;
    this.#steps = new RenewalSteps(deps);
    this.#backOff = new BackOff({ random: deps.random ?? Math.random });
  }

  /** Takes up what is under way, now and whenever the vault is opened. */
  start(): void {
    this.#stopListening ??= this.#deps.store.onChange(() => this.#takeUp());
    this.#takeUp();
  }

  [Symbol.dispose](): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  async get(provider: string, set: string, signal?: AbortSignal): Promise<LiveCredential | undefined> {
    const live = this.#current(provider, set);
    if (!isOAuth(live)) return live;
    switch (freshnessOf(live, this.#deps.clock.now())) {
      case 'fresh':
        return live;
      case 'early':
        this.#renewMeanwhile(live);
        return live;
      case 'over':
        return await this.#afterRenewal(live, signal);
    }
  }

  async refused(live: LiveCredential, signal?: AbortSignal): Promise<LiveCredential | undefined> {
    const current = this.#current(live.info.provider, live.info.set);
    if (!isOAuth(current) || !isSameVersion(current.info, live.info)) return current;
    if (!this.#refusals.mayRenew(current.info, this.#deps.clock.now())) return current;
    await waitFor(this.#renew(current), signal);
    return this.#current(live.info.provider, live.info.set);
  }

  async #afterRenewal(live: LiveOAuth, signal?: AbortSignal): Promise<LiveCredential | undefined> {
    const { provider, set } = live.info;
    const reason = await waitFor(this.#renew(live), signal);
    const current = this.#current(provider, set);
    if (!isOAuth(current) || stillLasts(current.credential, this.#deps.clock.now())) return current;
    if (current.info.problem !== undefined) {
      throw new CommandError(`The login of ${provider} is over`, { hint: howToLogIn(current.info) });
    }
    throw new CommandError(`The login of ${provider} is over, and could not be renewed yet`, {
      hint: 'It is tried again by itself: see to it that this machine can reach the vendor.',
      details: reason,
    });
  }

  #renewMeanwhile(live: LiveOAuth): void {
    if (live.info.problem !== undefined || live.credential.refresh_token === '') return;
    this.#renew(live).catch((error: unknown) => this.#noteFailure(live.info, error));
  }

  /** Joins the flight of this version, or starts one. Rejects while the vault is locked. */
  async #renew(live: LiveOAuth): Promise<string | undefined> {
    const key = keyOf(live.info);
    for (let flight = this.#flights.get(key); flight !== undefined; flight = this.#flights.get(key)) {
      if (flight.version === live.info.version) return await flight.landed;
      await flight.landed.catch(() => undefined);
    }
    return await this.#fly(live.info, () => this.#attempt(live, key));
  }

  #fly(
    info: Pick<CredentialInfo, 'provider' | 'set' | 'version'>,
    attempt: () => Promise<string | undefined>,
  ): Promise<string | undefined> {
    const key = keyOf(info);
    // In a later turn: what the attempt tells the store must find this flight.
    const landed = Promise.resolve()
      .then(attempt)
      .finally(() => this.#flights.delete(key));
    this.#flights.set(key, { version: info.version, landed });
    return landed;
  }

  async #attempt(live: LiveOAuth, key: string): Promise<string | undefined> {
    const { clock } = this.#deps;
    const current = this.#current(live.info.provider, live.info.set);
    if (!isOAuth(current) || !isSameVersion(current.info, live.info)) return undefined;
    const { info } = current;
    if (info.problem !== undefined) return info.problem;
    const pause = this.#backOff.reason(key, clock.now());
    if (pause !== undefined) return pause;
    try {
      const failure = await this.#steps.renew(current);
      if (failure === undefined || failure.isFinal) this.#backOff.succeeded(key);
      else this.#backOff.failed(key, clock.now(), failure.reason);
      return failure?.reason;
    } catch (error) {
      // A vault that was locked meanwhile, or the end of this process: what was begun is taken up afterwards.
      if (error instanceof CancelledError || error instanceof HostError) throw error;
      this.#noteFailure(info, error);
      const reason = error instanceof CommandError ? error.message : 'an unexpected failure';
      this.#backOff.failed(key, clock.now(), reason);
      return reason;
    }
  }

  #takeUp(): void {
    const { store } = this.#deps;
    if (store.status().state !== 'unlocked') return;
    for (const renewal of store.renewals()) {
      if (this.#flights.has(keyOf(renewal))) continue;
      this.#fly(renewal, () => this.#finish(renewal)).catch((error: unknown) =>
        this.#noteFailure(renewal, error),
      );
    }
  }

  /** One whose process is gone without a word is tried once more: its token may not have been used. */
  async #finish(renewal: Renewal): Promise<string | undefined> {
    const taken = await this.#steps.takeUp(renewal);
    if (taken !== undefined) return taken.failure?.reason;
    const live = this.#current(renewal.provider, renewal.set);
    return isOAuth(live) && live.info.set === renewal.set
      ? await this.#attempt(live, keyOf(renewal))
      : undefined;
  }

  #current(provider: string, set: string): LiveCredential | undefined {
    const info = this.#deps.store.find(provider, set);
    const opened = info === undefined ? undefined : this.#deps.store.open(info);
    if (info === undefined || opened === undefined) return undefined;
    return { info: { ...info, version: opened.version }, credential: opened.credential };
  }

  #noteFailure({ provider, set }: Pick<CredentialInfo, 'provider' | 'set'>, error: unknown): void {
    const said = error instanceof Error ? cleanLine(error.message) : 'unknown';
    this.#deps.log.warn({ provider, set, error: said }, 'a login was not renewed');
  }
}

const keyOf = ({ provider, set }: Pick<CredentialInfo, 'provider' | 'set'>): string =>
  JSON.stringify([set, provider]);

const isOAuth = (live: LiveCredential | undefined): live is LiveOAuth => live?.credential.kind === 'oauth';

const isSameVersion = (a: CredentialInfo, b: CredentialInfo): boolean =>
  a.provider === b.provider && a.set === b.set && a.version === b.version;

/** Whoever asked may leave; what goes on goes on. */
async function waitFor<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  work.catch(() => undefined);
  if (signal.aborted) throw new CancelledError('Nobody waits for the renewal any more');
  let leave: (() => void) | undefined;
  const left = new Promise<never>((_, reject) => {
    leave = () => reject(new CancelledError('Nobody waits for the renewal any more'));
    signal.addEventListener('abort', leave, { once: true });
  });
  try {
    return await Promise.race([work, left]);
  } finally {
    if (leave !== undefined) signal.removeEventListener('abort', leave);
  }
}
