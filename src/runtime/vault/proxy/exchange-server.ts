import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Admitted, admit } from './admission.ts';
import { relayAnswer } from './answer-relay-server.ts';
import { Bill, modelOfBody } from './bill.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { MAX_GRAPHQL_BYTES } from './graphql-query.ts';
import { type HeaderPair, listOf, pairsOf, valuesOf } from './header-pairs.ts';
import { errorBody, Refusal } from './refusal.ts';
import { ReplayableBody } from './replayable-body.ts';
import { mediaType } from './response-headers.ts';
import type { TaskGuard } from './task-guard.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';
import { UpstreamCall } from './upstream-call.ts';
import { UsageMeter } from './usage-meter.ts';
import { joinWebsocket, type UpgradeSide } from './websocket-join-server.ts';

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
  #body: ReplayableBody | undefined;
  #bill: Bill | undefined;
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
    const isGone = (): void => this.#gone.abort();
    const { socket } = this.#request;
    this.#response.on('error', () => undefined);
    this.#response.once('close', isGone);
    // One that waits behind another answer hears of nothing when their connection ends.
    socket.once('close', isGone);
    if (socket.destroyed) isGone();
    try {
      await this.#serve();
    } catch (error) {
      this.#fail(error);
    } finally {
      socket.off('close', isGone);
      this.record.outcome = this.#cutBecause ?? this.record.outcome;
      this.record.bytesSent += this.#body?.bytes ?? 0;
      this.#settle();
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
    });
    const bill =
      admitted.route.usage === undefined || this.#upgrade !== undefined
        ? undefined
        : new Bill({
            request: { method: this.#request.method ?? '', path: admitted.path },
            sentAtMs: this.#nowMs(),
          });
    this.#bill = bill;
    const { answer, location } = await call.run();
    this.#body?.release();
    if (answer.socket === undefined) await this.#relay(admitted, answer, location);
    else {
      const { hasEchoed } = await joinWebsocket({
        guard: this.#guard,
        record: this.record,
        admitted,
        offered: this.#headers,
        response: this.#response,
        side: this.#upgrade,
        head: answer.head,
        upstream: answer.socket,
        gone: this.#gone.signal,
      });
      if (hasEchoed) this.#echoed(admitted);
    }
  }

  async #relay(admitted: Admitted, answer: UpstreamAnswer, location: string | undefined): Promise<void> {
    const { status, headers } = answer.head;
    const meter = UsageMeter.of(admitted.route, mediaType(headers));
    this.#bill?.answered(status, meter);
    try {
      const { hasEchoed } = await relayAnswer({
        answer,
        response: this.#response,
        record: this.record,
        forms: this.#guard.sent.formsFor(admitted.upstream.origin),
        location,
        hasBody: this.#request.method !== 'HEAD' && status !== 204 && status !== 304,
        meter,
        gone: this.#gone.signal,
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

  /** What it cost, also where nobody waited for its end. */
  #settle(): void {
    const total = this.#bill?.total({
      nowMs: this.#nowMs(),
      sentBytes: this.record.bytesSent,
      receivedBytes: this.record.bytesReceived,
      isGivenUp: this.#gone.signal.aborted,
      model: () => modelOfBody(this.#body?.whole),
    });
    if (total !== undefined) this.record.spend(total.usage, total);
  }

  #nowMs(): number {
    return this.#guard.deps.clock.now().getTime();
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
    if (response.headersSent || response.destroyed || this.#gone.signal.aborted) {
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
  const isOpen = !request.complete && hasBody(pairsOf(request.rawHeaders));
  request.resume();
  response.writeHead(refusal.status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    ...(isOpen ? { Connection: 'close' } : {}),
  });
  response.end(body);
}
