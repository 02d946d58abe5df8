import { cleanLine } from '../../runtime/core/untrusted-text.ts';

const HEARTBEAT_MS = 10_000;
const MIN_GAP_MS = 250;
const MAX_MESSAGE_CHARS = 200;

export interface ProgressNotice {
  /** Seconds since the call began; each is greater than the one before (MCP, basic/utilities/progress). */
  readonly progress: number;
  readonly message: string;
}

export interface ProgressPace {
  /** After so long without a notice there is one that says the call still works. */
  readonly heartbeatMs?: number | undefined;
  /** What is said faster than this is left out, but for the latest. */
  readonly minGapMs?: number | undefined;
}

/** Tells a client how one call comes along: what the tool says, and a heartbeat when it says nothing. */
export class ProgressReporter {
  readonly #tool: string;
  readonly #send: (notice: ProgressNotice) => Promise<void>;
  readonly #heartbeatMs: number;
  readonly #minGapMs: number;
  readonly #startedAtMs = performance.now();
  #lastValueMs = 0;
  #lastSaid: string | undefined;
  #pending: string | undefined;
  #nextAtMs = 0;
  #sending: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(deps: {
    readonly tool: string;
    readonly send: (notice: ProgressNotice) => Promise<void>;
    readonly pace?: ProgressPace | undefined;
  }) {
    this.#tool = deps.tool;
    this.#send = deps.send;
    this.#heartbeatMs = deps.pace?.heartbeatMs ?? HEARTBEAT_MS;
    this.#minGapMs = deps.pace?.minGapMs ?? MIN_GAP_MS;
    this.#arm(this.#heartbeatMs);
  }

  /** Text from outside may be said: it is cleaned and cut here. */
  say(message: string): void {
    this.#pending = this.#lastSaid = cleanLine(message, MAX_MESSAGE_CHARS);
    // A client that reads slowly gets the latest once it has taken the one before.
    if (this.#sending !== undefined || this.#isStopped) return;
    const waitMs = this.#nextAtMs - performance.now();
    if (waitMs > 0) this.#arm(waitMs);
    else this.#flush();
  }

  /** After this nothing is sent any more: a client expects no notice after the answer. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#sending;
  }

  #flush(): void {
    const message = this.#pending ?? this.#heartbeat();
    this.#pending = undefined;
    clearTimeout(this.#timer);
    const elapsedMs = Math.round(performance.now() - this.#startedAtMs);
    this.#lastValueMs = Math.max(elapsedMs, this.#lastValueMs + 1);
    this.#sending = this.#send({ progress: this.#lastValueMs / 1000, message })
      // A client that went away is noticed by its connection, not here.
      .catch(() => undefined)
      .then(() => {
        this.#sending = undefined;
        this.#nextAtMs = performance.now() + this.#minGapMs;
        this.#arm(this.#pending === undefined ? this.#heartbeatMs : this.#minGapMs);
      });
  }

  #heartbeat(): string {
    const seconds = Math.round((performance.now() - this.#startedAtMs) / 1000);
    const last = this.#lastSaid === undefined ? '' : `; last: ${this.#lastSaid}`;
    return `${this.#tool}: still working after ${seconds} s${last}`;
  }

  #arm(waitMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#isStopped) this.#timer = setTimeout(() => this.#flush(), waitMs);
  }
}
