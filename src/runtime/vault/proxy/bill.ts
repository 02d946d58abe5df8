import type { CredentialRoute } from '../../agents/contract.ts';
import type { Usage } from '../parts.ts';
import { estimated, mayCost, tokensOfBytes, tokensOfEvent } from './usage-estimate.ts';
import type { UsageMeter } from './usage-meter.ts';
import { UsageReader } from './usage-reader.ts';

/** One request that may cost something, from its way to the upstream on until it is over. */
export class Bill {
  readonly #request: { readonly method: string; readonly path: string };
  readonly #sentAtMs: number;
  #meter: UsageMeter | undefined;
  #status: number | undefined;

  constructor(options: {
    readonly request: { readonly method: string; readonly path: string };
    readonly sentAtMs: number;
  }) {
    this.#request = options.request;
    this.#sentAtMs = options.sentAtMs;
  }

  /** Its upstream begins to answer; `meter` reads what that tells, where it can be read. */
  answered(status: number, meter: UsageMeter | undefined): void {
    this.#status = status;
    this.#meter = meter;
  }

  /** What it comes to, and whether that is a guess; undefined: nothing. */
  total(seen: {
    readonly nowMs: number;
    readonly sentBytes: number;
    readonly receivedBytes: number;
    /** Nobody waits for it any more. */
    readonly isGivenUp: boolean;
    readonly model: () => string | undefined;
  }): { readonly usage: Usage; readonly isEstimate: boolean } | undefined {
    const meter = this.#meter;
    const told = meter?.end();
    if (told !== undefined && meter?.isFinal === true) return { usage: told, isEstimate: false };
    // What is given up before a word of it came may well be worked on.
    const isWorkedOn =
      this.#status === undefined ? seen.isGivenUp : this.#status >= 200 && this.#status < 300;
    if (!isWorkedOn || !mayCost(this.#request))
      return told === undefined ? undefined : { usage: told, isEstimate: false };
    const usage = estimated({
      told,
      model: meter?.model ?? modelOfPath(this.#request.path) ?? seen.model(),
      sentBytes: seen.sentBytes,
      answerTokens: meter?.answerTokens ?? tokensOfBytes(seen.receivedBytes),
      durationMs: seen.nowMs - this.#sentAtMs,
    });
    return { usage, isEstimate: true };
  }
}

/** Google's way: `/v1beta/models/gemini-x:generateContent`. */
const modelOfPath = (path: string): string | undefined => /\/models\/([^/:]{1,200}):/.exec(path)?.[1];

/** The model that a request's body names at its top. */
export function modelOfBody(body: Buffer | undefined): string | undefined {
  try {
    const value: unknown = JSON.parse(body?.toString('utf8') ?? '');
    const model = typeof value === 'object' && value !== null && 'model' in value ? value.model : undefined;
    return typeof model === 'string' ? model.slice(0, 200) : undefined;
  } catch {
    return undefined;
  }
}

/** Less than that asks for nothing: it is a ping, or a close. */
const MIN_QUESTION_BYTES = 64;

/** The answers that one websocket carries, one after the other. */
export class ConversationBill {
  readonly #reader: UsageReader;
  #paidBytes = 0;
  #eventTokens = 0;
  #model: string | undefined;
  #answerBeganMs: number | undefined;

  constructor(dialect: NonNullable<CredentialRoute['usage']>) {
    this.#reader = new UsageReader(dialect);
  }

  /** A message of the upstream; gives what it says that an answer cost. */
  heard(text: string, seen: { readonly nowMs: number; readonly sentBytes: number }): Usage | undefined {
    const usage = this.#reader.readOne(text);
    if (usage !== undefined) {
      this.#model = usage.model ?? this.#model;
      this.#paidBytes = seen.sentBytes;
      this.#eventTokens = 0;
      this.#answerBeganMs = undefined;
      return usage;
    }
    this.#answerBeganMs ??= seen.nowMs;
    this.#eventTokens += tokensOfEvent(text);
    return undefined;
  }

  /** What was asked for, or begun, and never told. */
  rest(seen: { readonly nowMs: number; readonly sentBytes: number }): Usage | undefined {
    const sentBytes = seen.sentBytes - this.#paidBytes;
    if (sentBytes < MIN_QUESTION_BYTES && this.#eventTokens === 0) return undefined;
    return estimated({
      told: undefined,
      model: this.#model,
      sentBytes,
      answerTokens: this.#eventTokens,
      durationMs: seen.nowMs - (this.#answerBeganMs ?? seen.nowMs),
    });
  }
}
