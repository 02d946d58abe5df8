import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Admitted, admit } from './admission.ts';
import { relayAnswer } from './answer-relay-server.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { relayFrames } from './frame-relay-server.ts';
import { MAX_GRAPHQL_BYTES } from './graphql-query.ts';
import { type HeaderPair, listOf, pairsOf, valuesOf } from './header-pairs.ts';
import { PROTOCOL_KEY } from './presented-tokens.ts';
import { errorBody, Refusal } from './refusal.ts';
import { ReplayableBody } from './replayable-body.ts';
import { responseHeaders } from './response-headers.ts';
import { secretForms } from './secret-forms.ts';
import { maskText } from './secret-mask.ts';
import type { TaskGuard } from './task-guard.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';
import { UpstreamCall } from './upstream-call.ts';
import { UsageMeter } from './usage-meter.ts';
import { UsageReader } from './usage-reader.ts';

/** The connection behind a request that asks for another protocol, with what came after its head. */
export interface UpgradeSide {
  readonly socket: Socket;
  readonly head: Buffer;
}

/** One request of a task, from its head to its audit record. */
export class Exchange {
  readonly record: ExchangeRecord;
  readonly #guard: TaskGuard;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #upgrade: UpgradeSide | undefined;
  readonly #mustContinue: boolean;
  readonly #gone = new AbortController();
  readonly #headers: HeaderPair[];
  readonly #secrets: string[] = [];
  #body: ReplayableBody | undefined;
  #cutBecause: string | undefined;

  constructor(options: {
    readonly guard: TaskGuard;
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
    /** The client waits to be told before it sends the body. */
    readonly mustContinue: boolean;
    readonly upgrade?: UpgradeSide | undefined;
  }) {
    this.#guard = options.guard;
    this.#request = options.request;
    this.#response = options.response;
    this.#mustContinue = options.mustContinue;
    this.#upgrade = options.upgrade;
    this.#headers = pairsOf(options.request.rawHeaders);
    this.record = new ExchangeRecord(options.guard, {
      channel: options.upgrade === undefined ? 'http' : 'websocket',
      method: options.request.method ?? '',
      target: options.request.url ?? '',
    });
  }

  /** Grows while anything moves. */
  get progress(): number {
    return (this.#body?.bytes ?? 0) + this.record.bytesSent + this.record.bytesReceived;
  }

  /** Ends it now, whatever it does. */
  cut(outcome: string): void {
    this.#cutBecause ??= outcome;
    this.#gone.abort();
    this.#upgrade?.socket.destroy();
    this.#response.destroy();
  }

  async run(): Promise<void> {
    this.#response.on('error', () => undefined);
    this.#response.once('close', () => this.#gone.abort());
    try {
      await this.#serve();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.record.outcome = this.#cutBecause ?? this.record.outcome;
      this.record.bytesSent += this.#body?.bytes ?? 0;
      this.#body?.release();
      this.record.finish();
    }
  }

  async #serve(): Promise<void> {
    checkFraming(this.#headers);
    const admitted = await admit(
      {
        method: this.#request.method ?? '',
        target: this.#request.url ?? '',
        headers: this.#headers,
        isWebsocket: this.#upgrade !== undefined,
        readBody: () => this.#readBody(),
      },
      this.#guard,
      this.record,
      this.#gone.signal,
    );
    if (admitted.body === undefined && hasBody(this.#headers)) this.#body = new ReplayableBody(this.#request);
    if (this.#mustContinue && this.#body !== undefined) this.#response.writeContinue();
    const call = new UpstreamCall({
      guard: this.#guard,
      admitted,
      method: this.#request.method ?? '',
      headers: this.#headers,
      body: this.#body,
      isWebsocket: this.#upgrade !== undefined,
      signal: this.#gone.signal,
      secrets: this.#secrets,
    });
    const { answer, location } = await call.run();
    this.#body?.release();
    if (answer.socket === undefined) await this.#relay(admitted, answer, location);
    else await this.#join(admitted, answer, answer.socket);
  }

  async #relay(admitted: Admitted, answer: UpstreamAnswer, location: string | undefined): Promise<void> {
    const { status } = answer.head;
    try {
      const { hasEchoed } = await relayAnswer({
        answer,
        response: this.#response,
        record: this.record,
        forms: secretForms(this.#secrets),
        location,
        hasBody: this.#request.method !== 'HEAD' && status !== 204 && status !== 304,
        meter: (mediaType) => UsageMeter.of(admitted.route, mediaType),
      });
      if (hasEchoed) this.#echoed(admitted);
    } catch (error) {
      answer.abort();
      throw error;
    } finally {
      // The answer came before all was sent: the rest is read and dropped, or the client would never look at it.
      if (!this.#request.complete) this.#request.resume();
    }
  }

  async #join(
    admitted: Admitted,
    answer: UpstreamAnswer,
    upstream: NonNullable<UpstreamAnswer['socket']>,
  ): Promise<void> {
    upstream.on('error', () => undefined);
    const side = this.#upgrade;
    if (
      side === undefined ||
      this.#gone.signal.aborted ||
      valuesOf(answer.head.headers, 'sec-websocket-extensions').length > 0
    ) {
      upstream.destroy();
      throw new Refusal(502, 'unreadable_answer', 'The upstream answered in a way that was not asked for.');
    }
    this.#gone.signal.addEventListener('abort', () => upstream.destroy(), { once: true });
    const forms = secretForms(this.#secrets);
    const flat = responseHeaders(answer.head.headers, { canHaveTrailers: false }).flatMap(([name, value]) => [
      maskText(name, forms),
      name.toLowerCase() === 'sec-websocket-protocol' ? this.#protocol(value) : maskText(value, forms),
    ]);
    this.#response.sendDate = false;
    this.#response.writeHead(101, ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...flat]);
    this.#response.flushHeaders();
    this.#response.detachSocket(side.socket);
    this.record.status = 101;
    if (side.head.length > 0) {
      this.record.bytesSent += side.head.length;
      upstream.write(side.head);
    }
    const { provider, set } = admitted.live.info;
    const reader = admitted.route.usage === undefined ? undefined : new UsageReader(admitted.route.usage);
    const { hasEchoed } = await relayFrames({
      client: side.socket,
      upstream,
      record: this.record,
      forms,
      onText: (text) => {
        const usage = reader?.readOne(text);
        if (usage === undefined) return true;
        this.record.spend(usage);
        // Each answer makes room for the next request of the same connection, or ends it.
        return this.#guard.deps.budgets.admit(this.#guard.task, { provider, set }) === undefined;
      },
    });
    if (hasEchoed) {
      if (this.record.outcome === 'ok') this.record.outcome = 'secret_redacted';
      this.#echoed(admitted);
    }
  }

  /** The client offered its own token for the key in it, and looks for what it offered. */
  #protocol(chosen: string): string {
    if (!chosen.startsWith(PROTOCOL_KEY)) return maskText(chosen, secretForms(this.#secrets));
    return (
      listOf(this.#headers, 'sec-websocket-protocol').find((offered) => offered.startsWith(PROTOCOL_KEY)) ??
      ''
    );
  }

  #echoed(admitted: Admitted): void {
    const { provider, set } = admitted.live.info;
    this.#guard.alarm('credential.echoed', { provider, set, problem: 'An answer held the real credential.' });
  }

  async #readBody(): Promise<Buffer> {
    if (this.#mustContinue) this.#response.writeContinue();
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.#request) {
      if (!Buffer.isBuffer(chunk)) continue;
      bytes += chunk.length;
      if (bytes > MAX_GRAPHQL_BYTES)
        throw new Refusal(413, 'too_large', 'The body of a GraphQL query is too long.');
      chunks.push(chunk);
    }
    this.record.bytesSent += bytes;
    return Buffer.concat(chunks);
  }

  /** Nothing of an answer was sent, or its connection breaks. */
  #fail(error: unknown): void {
    const isOurs = error instanceof Refusal;
    this.record.outcome = isOurs ? error.outcome : 'failed';
    if (this.#gone.signal.aborted) this.record.outcome = 'client_gone';
    else if (!isOurs)
      this.#guard.deps.log.error({ err: error, task: this.#guard.task }, 'credential proxy failed');
    const response = this.#response;
    if (response.headersSent || response.destroyed || response.socket === null) {
      response.destroy();
      this.#upgrade?.socket.destroy();
      return;
    }
    const refusal = isOurs ? error : new Refusal(502, 'failed', 'The credential proxy could not do this.');
    this.record.status = refusal.status;
    answerRefusal(this.#request, response, refusal);
  }
}

const hasBody = (headers: readonly HeaderPair[]): boolean =>
  valuesOf(headers, 'transfer-encoding').length > 0 ||
  valuesOf(headers, 'content-length').some((length) => !/^0*$/.test(length));

/** Throws Refusal for a coding of the transfer that would have to be undone here. */
function checkFraming(headers: readonly HeaderPair[]): void {
  if (listOf(headers, 'transfer-encoding').some((coding) => coding.toLowerCase() !== 'chunked')) {
    throw new Refusal(501, 'bad_framing', 'Bodies are taken with a length or chunked, in no other way.');
  }
}

/** In words of ours. The connection ends with it where the client may still be sending. */
export function answerRefusal(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  const body = Buffer.from(errorBody(refusal));
  const isOpen = !request.complete;
  request.resume();
  response.writeHead(refusal.status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    ...(isOpen ? { Connection: 'close' } : {}),
  });
  response.end(body);
}
