import type { Clock } from '../../core/clock.ts';
import type { CommandRunner } from '../../core/command.ts';
import { CancelledError, CommandError } from '../../core/errors.ts';
import type { ExchangeOutcome, RefreshRule, Renewal, TokenExchange } from '../parts.ts';
import type { OAuthCredential } from '../stored-credential.ts';
import { openOutcome, sealingKey } from './outcome-seal.ts';
import { RenewalInbox } from './renewal-inbox-store.ts';
import { writeOrder } from './renewal-order.ts';
import { EndpointWord, readAnswer } from './token-answer.ts';
import { tokenRequest } from './token-endpoint.ts';

/** First argument of the program when it is to renew one token. */
export const RENEW_COMMAND = 'renew-credential';
const STARTED_MS = 30_000;
const POLL_MS = 25;

export interface ProcessExchangeDeps {
  readonly runner: CommandRunner;
  /** `<state>/renewals`. */
  readonly directory: string;
  /** This very program, without its arguments. */
  readonly program: { readonly file: string; readonly args: readonly string[] };
  /** For that process besides the runner's own: NODE_EXTRA_CA_CERTS, proxies. */
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

/**
 * Has each refresh token exchanged by a process of its own. It outlives this one, and a vendor that answers after this
 * one was killed has not handed out the only valid token to nobody.
 */
export class ProcessExchange implements TokenExchange, Disposable {
  readonly #deps: ProcessExchangeDeps;
  readonly #inbox: RenewalInbox;
  readonly #over = new AbortController();

  constructor(deps: ProcessExchangeDeps) {
    this.#deps = deps;
    this.#inbox = new RenewalInbox({ directory: deps.directory });
  }

  /** Waits no longer; processes under way go on, for the next run to take up. */
  [Symbol.dispose](): void {
    this.#over.abort();
  }

  async exchange(
    renewal: Renewal,
    credential: OAuthCredential,
    refresh: RefreshRule,
  ): Promise<ExchangeOutcome> {
    const { directory, runner, program, env } = this.#deps;
    await this.#inbox.prepare();
    const order = {
      ...tokenRequest(refresh, credential),
      inbox: directory,
      id: renewal.id,
      key: sealingKey(renewal, credential),
    };
    const command = { file: program.file, args: [...program.args, RENEW_COMMAND], env };
    await runner
      .detach({ ...command, input: writeOrder(order), logFile: '/dev/null' })
      .catch((cause: unknown) => {
        throw new CommandError('The process that renews a login did not start', { cause });
      });
    const outcome = await this.#wait(renewal, credential, STARTED_MS);
    return outcome ?? { kind: 'unreachable', reason: 'the process that renews a login ended without a word' };
  }

  async takeUp(renewal: Renewal, credential: OAuthCredential): Promise<ExchangeOutcome | undefined> {
    await this.#inbox.prepare();
    // One that has not claimed it by now finds it claimed, and does not send.
    return await this.#wait(renewal, credential, 0);
  }

  async discard({ id }: Pick<Renewal, 'id'>): Promise<void> {
    await this.#inbox.discard(id);
  }

  async #wait(
    renewal: Renewal,
    credential: OAuthCredential,
    startedMs: number,
  ): Promise<ExchangeOutcome | undefined> {
    const { clock } = this.#deps;
    for (let waitedMs = 0; !this.#over.signal.aborted; waitedMs += POLL_MS) {
      const sender = await this.#inbox.senderOf(renewal.id);
      // Asked after that: whoever has ended by then has left all it ever will.
      const sealed = await this.#inbox.outcome(renewal.id);
      if (sealed !== undefined) return readOutcome(sealed, renewal, credential);
      if (sender === 'ended') return undefined;
      if (sender === 'unclaimed' && waitedMs >= startedMs && (await this.#inbox.claimForNobody(renewal.id)))
        return undefined;
      await clock.sleep(POLL_MS, this.#over.signal);
    }
    throw new CancelledError('Nobody waits for this renewal any more');
  }
}

/** Undefined for what was not sealed by a process of ours. */
function readOutcome(
  sealed: Uint8Array,
  renewal: Renewal,
  credential: OAuthCredential,
): ExchangeOutcome | undefined {
  const text = openOutcome(sealed, sealingKey(renewal, credential), renewal.id);
  const word = text === undefined ? undefined : EndpointWord.safeParse(JSON.parse(text));
  return word?.success === true ? readAnswer(word.data, credential) : undefined;
}
