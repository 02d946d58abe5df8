import { type Admitted, liveOrRefusal, signatureOf } from './admission.ts';
import type { HeaderPair } from './header-pairs.ts';
import { chooseRedirect, MAX_REDIRECTS } from './redirect-choice.ts';
import { Refusal } from './refusal.ts';
import type { ReplayableBody } from './replayable-body.ts';
import { requestHeaders } from './request-headers.ts';
import { pathOf } from './route-choice.ts';
import type { TaskGuard } from './task-guard.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';
import type { UpstreamRequest } from './upstream-client.ts';

export interface CallOptions {
  readonly guard: TaskGuard;
  readonly admitted: Admitted;
  readonly method: string;
  /** Of the client. */
  readonly headers: readonly HeaderPair[];
  /** Of the client; undefined where it sends none, or another goes in its place. */
  readonly body: ReplayableBody | undefined;
  readonly isWebsocket: boolean;
  readonly signal: AbortSignal;
}

/** Codes of a connection that ended under a request. */
const DROPPED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/** Asks the upstream until there is an answer for the task: renews a credential once, follows redirects. */
export class UpstreamCall {
  readonly #call: CallOptions;

  constructor(options: CallOptions) {
    this.#call = options;
  }

  /** Throws Refusal where no answer may go on. */
  async run(): Promise<{ readonly answer: UpstreamAnswer; readonly location: string | undefined }> {
    const { admitted } = this.#call;
    return this.#followed(admitted, await this.#asked(admitted));
  }

  /** Once more with what counts now, where the credential had changed or is renewed. */
  async #asked(admitted: Admitted): Promise<UpstreamAnswer> {
    const answer = await this.#send(admitted, admitted.live);
    if (answer.head.status !== 401) return answer;
    const { live } = admitted;
    const next = await liveOrRefusal(this.#call.guard, () =>
      this.#call.guard.deps.live.refused(live, this.#call.signal),
    ).catch((error: unknown) => {
      answer.abort();
      throw error;
    });
    const isOther = next !== undefined && next.info.version !== live.info.version;
    if (!isOther || this.#call.body?.canRepeat === false) return answer;
    answer.abort();
    return this.#send(admitted, next);
  }

  #send(admitted: Admitted, live: Admitted['live']): Promise<UpstreamAnswer> {
    const signature = signatureOf(admitted.route, live);
    const method = this.#call.method;
    const isWebsocket = this.#call.isWebsocket;
    const { origin, host, path } = admitted.upstream;
    this.#call.guard.sent.add(origin, live);
    return this.#sent(() => ({
      origin,
      path: `${path}${admitted.query}`,
      method,
      headers: requestHeaders(this.#call.headers, {
        host,
        signature,
        isWebsocket,
        isBodyReplaced: admitted.body !== undefined,
      }),
      body: admitted.body ?? this.#call.body?.open(),
      isWebsocket,
      isRedirect: false,
    }));
  }

  /** A kept connection may end in the very moment it is used: what changes nothing is asked again, once. */
  async #sent(request: () => UpstreamRequest): Promise<UpstreamAnswer> {
    const { upstreams } = this.#call.guard.deps;
    const first = request();
    try {
      return await upstreams.send(first, this.#call.signal);
    } catch (error) {
      const isDropped = error instanceof Error && 'code' in error && DROPPED.has(String(error.code));
      const mayRepeat = ['GET', 'HEAD', 'OPTIONS'].includes(first.method) && first.body === undefined;
      if (isDropped && mayRepeat && !this.#call.signal.aborted) {
        return upstreams
          .send(request(), this.#call.signal)
          .catch((again: unknown) => this.#unreachable(again));
      }
      return this.#unreachable(error);
    }
  }

  #unreachable(error: unknown): never {
    const code = error instanceof Error && 'code' in error ? String(error.code).slice(0, 40) : 'unknown';
    this.#call.guard.deps.log.debug({ task: this.#call.guard.task, code }, 'upstream unreachable');
    throw new Refusal(502, 'unreachable', 'The upstream could not be reached, or its connection broke.');
  }

  async #followed(
    admitted: Admitted,
    first: UpstreamAnswer,
  ): Promise<{ readonly answer: UpstreamAnswer; readonly location: string | undefined }> {
    const { route, ownPrefix } = admitted;
    const method = this.#call.method;
    let answer = first;
    let { origin, path } = admitted.upstream;
    const ownPath = (url: URL): string | undefined => {
      const own = answer === first ? pathOf(route, url) : undefined;
      return own === undefined ? undefined : `${ownPrefix}${own}`;
    };
    for (let hop = 0; ; hop++) {
      try {
        const { status, headers } = answer.head;
        const choice = chooseRedirect({
          method,
          status,
          headers,
          origin,
          path,
          hosts: route.redirects,
          ownPath,
        });
        if (choice.kind === 'pass') return { answer, location: choice.location };
        if (hop === MAX_REDIRECTS)
          throw new Refusal(502, 'redirect_refused', 'The upstream redirects too often.');
        if (admitted.isTokenEndpoint(choice.url.href))
          throw new Refusal(502, 'redirect_refused', 'The upstream redirects to where tokens are renewed.');
        answer.abort();
        ({ origin } = choice.url);
        path = choice.url.pathname;
        const { host, search } = choice.url;
        const unsigned = { host, signature: undefined, isWebsocket: false, isBodyReplaced: false };
        answer = await this.#sent(() => ({
          origin,
          path: `${path}${search}`,
          method,
          headers: requestHeaders(this.#call.headers, unsigned),
          body: undefined,
          isWebsocket: false,
          isRedirect: true,
        }));
      } catch (error) {
        answer.abort();
        throw error;
      }
    }
  }
}
