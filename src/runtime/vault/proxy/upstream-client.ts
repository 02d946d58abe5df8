import { lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { createSecureContext, rootCertificates } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { isPublicAddress } from '../../core/address-classes.ts';
import { HostError } from '../../core/errors.ts';
import { cleanLine } from '../../core/untrusted-text.ts';
import type { HeaderPair } from './header-pairs.ts';
import { UpstreamAnswer } from './upstream-answer.ts';

export interface UpstreamRequest {
  /** Scheme, host and port. */
  readonly origin: string;
  /** With its query, as it goes into the request line. */
  readonly path: string;
  readonly method: string;
  readonly headers: readonly HeaderPair[];
  readonly body: Readable | Buffer | undefined;
  readonly isWebsocket: boolean;
  /** Chosen by an upstream, so only public addresses are dialled. */
  readonly isRedirect: boolean;
}

/** Sends requests to vendors. */
export interface Upstreams {
  /** Resolves with the head. Rejects where none came, also when the signal fires first. */
  send(request: UpstreamRequest, signal: AbortSignal): Promise<UpstreamAnswer>;
}

const CONNECT_TIMEOUT_MS = 15_000;
/** Below the idle time after which usual servers close. */
const KEEP_ALIVE_MS = 20_000;
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * One pool of TLS connections an origin, shared by all tasks; through the corporate proxy where the environment names
 * one. Waits for answers without end: who asks keeps the time.
 */
export class UpstreamClient implements Upstreams, AsyncDisposable {
  readonly #direct: Dispatcher;
  readonly #redirects: Dispatcher;

  constructor(deps: {
    readonly env: Readonly<Record<string, string | undefined>>;
    /** PEM, beside those of Node. */
    readonly extraCa?: readonly string[] | undefined;
    /** How names of redirects are resolved, and what counts as public: the system's and RFC 6890's by default. */
    readonly lookup?: LookupFunction | undefined;
    readonly isPublic?: ((address: string) => boolean) | undefined;
  }) {
    const { env } = deps;
    const extraCa = deps.extraCa ?? [];
    // One for all connections: to read all authorities takes longer than a handshake.
    const secureContext = createSecureContext(
      extraCa.length === 0 ? {} : { ca: [...rootCertificates, ...extraCa] },
    );
    const agent = (connect: { readonly lookup?: LookupFunction }): Dispatcher =>
      new EnvHttpProxyAgent({
        // Empty, not absent: what is absent is read from the process's environment.
        httpProxy: '',
        httpsProxy: env['https_proxy'] ?? env['HTTPS_PROXY'] ?? '',
        noProxy: env['no_proxy'] ?? env['NO_PROXY'] ?? '',
        connect: { timeout: CONNECT_TIMEOUT_MS, secureContext, ...connect },
        requestTls: { timeout: CONNECT_TIMEOUT_MS, secureContext },
        proxyTls: { timeout: CONNECT_TIMEOUT_MS, secureContext },
        pipelining: 1,
        keepAliveTimeout: KEEP_ALIVE_MS,
        headersTimeout: 0,
        bodyTimeout: 0,
        maxHeaderSize: MAX_HEADER_BYTES,
      });
    try {
      this.#direct = agent({});
      this.#redirects = agent({
        lookup: publicLookup(deps.lookup ?? systemLookup, deps.isPublic ?? isPublicAddress),
      });
    } catch (cause) {
      throw new HostError('HTTPS_PROXY is no address of a proxy', {
        hint: 'Write it like http://proxy.example.com:3128.',
        details: cause instanceof Error ? cleanLine(cause.message) : undefined,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#direct.destroy(), this.#redirects.destroy()]);
  }

  send(request: UpstreamRequest, signal: AbortSignal): Promise<UpstreamAnswer> {
    return new Promise((resolve, reject) => {
      const handler = new AnswerHandler(signal, resolve, reject);
      try {
        (request.isRedirect ? this.#redirects : this.#direct).dispatch(
          {
            origin: request.origin,
            path: request.path,
            method: request.method,
            headers: grouped(request.headers),
            body: request.body ?? null,
            upgrade: request.isWebsocket ? 'websocket' : null,
          },
          handler,
        );
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }
}

class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #signal: AbortSignal;
  readonly #resolve: (answer: UpstreamAnswer) => void;
  readonly #reject: (error: Error) => void;
  readonly #onAbort = (): void => {
    const givenUp = new Error('the request was given up');
    this.#controller?.abort(givenUp);
    // One that still waits for a connection is dropped when that is there.
    if (this.#answer === undefined) this.#reject(givenUp);
  };
  #controller: Dispatcher.DispatchController | undefined;
  #answer: UpstreamAnswer | undefined;

  constructor(
    signal: AbortSignal,
    resolve: (answer: UpstreamAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Comes again where a queued request moves to another connection. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#signal.aborted) this.#onAbort();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText = '',
  ): void {
    // Interim answers are about this connection's progress, and the next one brings the word.
    if (status < 200) return;
    const answer = new UpstreamAnswer(
      { status, statusText, headers: rawPairs(controller.rawHeaders) },
      controller,
    );
    this.#answer = answer;
    controller.pause();
    this.#resolve(answer);
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    socket: import('node:stream').Duplex,
  ): void {
    this.#done();
    const head = { status, statusText: 'Switching Protocols', headers: rawPairs(controller.rawHeaders) };
    this.#resolve(new UpstreamAnswer(head, controller, socket));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#answer?.push(chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#done();
    const trailers = rawPairs(controller.rawTrailers);
    this.#answer?.settle((sink) => sink.end(trailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#done();
    if (this.#answer === undefined) this.#reject(error);
    else this.#answer.settle((sink) => sink.failed(error));
  }

  #done(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

/** A host of several addresses is refused whole when one of them is not public: which one is dialled is not ours to say. */
function publicLookup(lookup: LookupFunction, isPublic: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, address, family) => {
      const addresses = typeof address === 'string' ? [address] : (address ?? []).map((one) => one.address);
      if (error === null && !(addresses.length > 0 && addresses.every(isPublic))) {
        callback(new Error('the host of a redirect has no public address'), '', family);
        return;
      }
      callback(error, address, family);
    });
  };
}

/** Names of several lines as one list each: the way through a proxy keeps no other. */
function grouped(pairs: readonly HeaderPair[]): Record<string, string | string[]> {
  const groups = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (const [name, value] of pairs) {
    const group = groups.get(name.toLowerCase());
    if (group === undefined) groups.set(name.toLowerCase(), { name, values: [value] });
    else group.values.push(value);
  }
  return Object.fromEntries(
    [...groups.values()].map(({ name, values }) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  );
}

function rawPairs(raw: Dispatcher.DispatchController['rawHeaders']): HeaderPair[] {
  if (!Array.isArray(raw)) return [];
  const texts = raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
  return texts.flatMap((name, index) => (index % 2 === 0 ? [[name, texts[index + 1] ?? ''] as const] : []));
}
