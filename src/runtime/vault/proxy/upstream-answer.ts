import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { HeaderPair } from './header-pairs.ts';

export interface UpstreamHead {
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly HeaderPair[];
}

/** Takes a body as it comes. After `end` or `failed` there is nothing more. */
export interface BodySink {
  data(chunk: Buffer): void;
  end(trailers: readonly HeaderPair[]): void;
  failed(error: Error): void;
}

/** What an upstream says: the head is there, the body waits until somebody takes it. */
export class UpstreamAnswer {
  readonly head: UpstreamHead;
  /** After a change of protocol: what follows is no HTTP. */
  readonly socket: Duplex | undefined;
  readonly #controller: Dispatcher.DispatchController;
  #sink: BodySink | undefined;
  #outcome: ((sink: BodySink) => void) | undefined;

  constructor(head: UpstreamHead, controller: Dispatcher.DispatchController, socket?: Duplex) {
    this.head = head;
    this.socket = socket;
    this.#controller = controller;
  }

  consume(sink: BodySink): void {
    this.#sink = sink;
    if (this.#outcome !== undefined) this.#outcome(sink);
    else this.#controller.resume();
  }

  pause(): void {
    this.#controller.pause();
  }

  resume(): void {
    if (this.#outcome === undefined) this.#controller.resume();
  }

  /** Gives up what is left of it, with its connection. */
  abort(): void {
    this.#sink = undefined;
    if (this.#outcome === undefined) this.#controller.abort(new Error('the answer is not wanted any more'));
    this.socket?.destroy();
  }

  /** For the client that fills it. */
  push(chunk: Buffer): void {
    this.#sink?.data(chunk);
  }

  settle(outcome: (sink: BodySink) => void): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    if (this.#sink !== undefined) outcome(this.#sink);
  }
}
