import { randomBytes } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import type { EventLog } from '../../core/event-log.ts';
import type { CredentialInfo } from '../contract.ts';
import type { CredentialStore, ExchangeOutcome, RefreshRule, Renewal, TokenExchange } from '../parts.ts';
import type { OAuthCredential } from '../stored-credential.ts';
import { howToLogIn } from './log-in-again.ts';

export interface RenewalDeps {
  readonly store: CredentialStore;
  readonly exchange: TokenExchange;
  readonly clock: Clock;
  readonly events: Pick<EventLog, 'record'>;
  /** How tokens are renewed, by provider: the roster as it is now. */
  readonly rules: () => Promise<ReadonlyMap<string, RefreshRule>>;
}

export interface RenewalFailure {
  readonly reason: string;
  /** Only a person can help. */
  readonly isFinal: boolean;
}

/**
 * One renewal, in steps that may each be the last of this process. The store knows of it before the refresh token leaves
 * the vault, and until the outcome is stored; an outcome that is stored twice is stored once, by its version.
 */
export class RenewalSteps {
  readonly #deps: RenewalDeps;

  constructor(deps: RenewalDeps) {
    this.#deps = deps;
  }

  /** Undefined: what the store holds now counts. Throws HostError while locked. */
  async renew(live: {
    readonly info: CredentialInfo;
    readonly credential: OAuthCredential;
  }): Promise<RenewalFailure | undefined> {
    const { store, exchange, clock, rules } = this.#deps;
    const { info, credential } = live;
    const { provider, set, version } = info;
    for (const left of store.renewals().filter((one) => one.provider === provider && one.set === set)) {
      const taken = await this.takeUp(left);
      if (taken !== undefined) return taken.failure;
    }
    if (credential.refresh_token === '') return this.#needLogin(info);
    const rule = (await rules()).get(provider);
    // Said and not kept: a file of the roster that is broken today is repaired tomorrow.
    if (rule === undefined)
      return { reason: `The roster does not say how it is renewed. ${howToLogIn(info)}`, isFinal: false };
    const renewal: Renewal = {
      id: randomBytes(16).toString('hex'),
      provider,
      set,
      version,
      startedAt: clock.now().toISOString(),
    };
    store.beginRenewal(renewal);
    return await this.#settle(renewal, await exchange.exchange(renewal, credential, rule));
  }

  /** What came of one that an earlier run began; undefined: nothing, so it may be begun again. */
  async takeUp(renewal: Renewal): Promise<{ readonly failure: RenewalFailure | undefined } | undefined> {
    const { store, exchange } = this.#deps;
    const opened = store.open(renewal);
    // Whoever logged in or stored meanwhile keeps the word.
    if (opened === undefined || opened.version !== renewal.version || opened.credential.kind !== 'oauth') {
      await this.#end(renewal);
      return opened === undefined ? undefined : { failure: undefined };
    }
    const outcome = await exchange.takeUp(renewal, opened.credential);
    if (outcome !== undefined) return { failure: await this.#settle(renewal, outcome) };
    await this.#end(renewal);
    return undefined;
  }

  async #settle(renewal: Renewal, outcome: ExchangeOutcome): Promise<RenewalFailure | undefined> {
    const { store } = this.#deps;
    switch (outcome.kind) {
      case 'renewed':
        store.replace(renewal, outcome.credential);
        await this.#end(renewal);
        return undefined;
      case 'refused': {
        const current = store
          .list()
          .find((one) => one.provider === renewal.provider && one.set === renewal.set);
        const failure =
          current?.version === renewal.version ? this.#needLogin(current, outcome.reason) : undefined;
        await this.#end(renewal);
        return failure;
      }
      case 'unreachable':
        await this.#end(renewal);
        return { reason: outcome.reason, isFinal: false };
    }
  }

  async #end(renewal: Renewal): Promise<void> {
    await this.#deps.exchange.discard(renewal);
    this.#deps.store.endRenewal(renewal.id);
  }

  /** One event, however often it is asked for afterwards. */
  #needLogin(info: CredentialInfo, reason = 'it has no way to be renewed'): RenewalFailure {
    const { store, events } = this.#deps;
    const { provider, set } = info;
    const problem = howToLogIn(info);
    if (info.problem === undefined) {
      store.setProblem(info, problem);
      events.record({ actor: 'system', kind: 'credential.login_needed', data: { provider, set, reason } });
    }
    return { reason: problem, isFinal: true };
  }
}
