import type { ServerResponse } from 'node:http';
import { BodyDecoder } from './encoded-body.ts';
import type { ExchangeRecord } from './exchange-record.ts';
import type { HeaderPair } from './header-pairs.ts';
import { bodyEncoding, responseHeaders } from './response-headers.ts';
import { maskText, SecretMask } from './secret-mask.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';
import type { UsageMeter } from './usage-meter.ts';

export interface AnswerRelay {
  readonly answer: UpstreamAnswer;
  readonly response: ServerResponse;
  readonly record: ExchangeRecord;
  /** What must not come back. */
  readonly forms: readonly Buffer[];
  readonly location: string | undefined;
  readonly hasBody: boolean;
  readonly meter: UsageMeter | undefined;
  /** The client has gone, or has to go. */
  readonly gone: AbortSignal;
}

/**
 * Passes an answer on as it comes, at the pace of the slower side. Resolves when it is over, however it ended; throws
 * Refusal while nothing of it was sent yet. Says whether a secret was in it.
 */
export async function relayAnswer(relay: AnswerRelay): Promise<{ readonly hasEchoed: boolean }> {
  const { answer, response, record, forms } = relay;
  const encoding = relay.hasBody ? bodyEncoding(answer.head.headers) : 'plain';
  const headers = responseHeaders(answer.head.headers, { canHaveTrailers: relay.hasBody });
  const told = headers.map(([name, value]): HeaderPair => {
    const isLocation = relay.location !== undefined && name.toLowerCase() === 'location';
    return [name, isLocation ? (relay.location ?? '') : value];
  });
  const clean = masked(told, forms);
  const statusText = maskText(answer.head.statusText, forms);
  response.sendDate = false;
  response.writeHead(answer.head.status, statusText, clean.flat());
  response.flushHeaders();
  record.status = answer.head.status;

  const isHeadClean =
    statusText === answer.head.statusText && clean.every(([, value], at) => value === told[at]?.[1]);
  const { meter } = relay;
  const pump = encoding === 'plain' ? new PlainPump(relay, meter) : new EncodedPump(relay, meter, encoding);
  await pump.run();
  const hasEchoed = pump.hasEchoed || !isHeadClean;
  if (hasEchoed && record.outcome === 'ok') record.outcome = 'secret_redacted';
  return { hasEchoed };
}

/** Looked through as one text first, for there is nearly never anything to be found. */
function masked(pairs: readonly HeaderPair[], forms: readonly Buffer[]): readonly HeaderPair[] {
  const whole = pairs.map(([name, value]) => `${name}\n${value}\n`).join('');
  if (maskText(whole, forms) === whole) return pairs;
  return pairs.map(([name, value]) => [maskText(name, forms), maskText(value, forms)]);
}

abstract class Pump {
  protected readonly relay: AnswerRelay;
  protected readonly meter: UsageMeter | undefined;
  #over: () => void = () => undefined;

  constructor(relay: AnswerRelay, meter: UsageMeter | undefined) {
    this.relay = relay;
    this.meter = meter;
  }

  abstract get hasEchoed(): boolean;
  protected abstract take(chunk: Buffer): void;
  protected abstract finish(trailers: readonly HeaderPair[]): void;

  run(): Promise<void> {
    const { answer, response, gone } = this.relay;
    return new Promise((resolve) => {
      this.#over = resolve;
      const ended = (): void => {
        if (!response.writableFinished) {
          if (this.relay.record.outcome === 'ok') this.relay.record.outcome = 'client_gone';
          answer.abort();
          response.destroy();
        }
        resolve();
      };
      if (response.destroyed || gone.aborted) {
        ended();
        return;
      }
      response.once('close', ended);
      gone.addEventListener('abort', ended, { once: true });
      response.on('drain', () => answer.resume());
      answer.consume({
        data: (chunk) => {
          this.relay.record.bytesReceived += chunk.length;
          this.take(chunk);
        },
        end: (trailers) => this.finish(trailers),
        failed: () => this.breakOff(response.destroyed ? 'client_gone' : 'upstream_broke'),
      });
    });
  }

  /** Whether the task keeps up. */
  protected send(bytes: Buffer): boolean {
    return bytes.length === 0 || this.relay.response.write(bytes);
  }

  protected end(trailers: readonly HeaderPair[]): void {
    const { response, forms } = this.relay;
    const clean = masked(trailers, forms);
    if (clean.length > 0 && response.chunkedEncoding)
      response.addTrailers(clean.map(([name, value]): [string, string] => [name, value]));
    response.end();
  }

  /** The task must not take a part for the whole. */
  protected breakOff(outcome: string): void {
    this.relay.record.outcome = outcome;
    this.relay.answer.abort();
    this.relay.response.destroy();
    this.#over();
  }
}

class PlainPump extends Pump {
  readonly #mask = new SecretMask(this.relay.forms);

  get hasEchoed(): boolean {
    return this.#mask.found > 0;
  }

  protected take(chunk: Buffer): void {
    this.meter?.push(chunk);
    if (!this.send(this.#mask.push(chunk))) this.relay.answer.pause();
  }

  protected finish(trailers: readonly HeaderPair[]): void {
    this.send(this.#mask.flush());
    this.end(trailers);
  }
}

/** Compressed bytes cannot be changed in their middle: they pass as they are, or end before a secret in them does. */
class EncodedPump extends Pump {
  readonly #mask = new SecretMask(this.relay.forms);
  readonly #rawMask = new SecretMask(this.relay.forms);
  readonly #decoder: BodyDecoder;
  /** What may be the beginning of a secret. */
  #held: Buffer[] = [];
  #looked: Promise<void> = Promise.resolve();

  constructor(relay: AnswerRelay, meter: UsageMeter | undefined, encoding: 'gzip' | 'br' | 'deflate') {
    super(relay, meter);
    this.#decoder = new BodyDecoder(encoding, (decoded) => {
      meter?.push(decoded);
      this.#mask.push(decoded);
    });
    relay.response.once('close', () => this.#decoder.close());
  }

  get hasEchoed(): boolean {
    return this.#mask.found + this.#rawMask.found > 0;
  }

  protected take(chunk: Buffer): void {
    this.relay.answer.pause();
    this.#after(() => this.#look(chunk));
  }

  /** One after the other: a chunk may come while the one before is looked at. */
  #after(step: () => Promise<void> | void): void {
    this.#looked = this.#looked.then(step).catch(() => this.breakOff('unreadable_answer'));
  }

  async #look(chunk: Buffer): Promise<void> {
    if (this.relay.response.destroyed) return;
    await this.#decoder.write(chunk);
    this.#rawMask.push(chunk);
    if (this.hasEchoed) {
      this.breakOff('secret_echoed');
      return;
    }
    this.#held.push(chunk);
    if (this.#mask.heldBytes > 0 || this.#release()) this.relay.answer.resume();
  }

  protected finish(trailers: readonly HeaderPair[]): void {
    this.#after(() => {
      if (this.relay.response.destroyed) return;
      this.#release();
      this.end(trailers);
    });
  }

  #release(): boolean {
    const held = this.#held;
    this.#held = [];
    return held.map((chunk) => this.send(chunk)).every((isFast) => isFast);
  }
}
