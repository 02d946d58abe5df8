import type { Duplex } from 'node:stream';
import { z } from 'zod';
import {
  CancelledError,
  CommandError,
  ConflictError,
  HostError,
  InvalidInputError,
  NotFoundError,
  PolicyError,
  type RuntimeError,
} from '../../runtime/core/errors.ts';
import { BoundedLines } from '../bounded-lines.ts';
import type { ControlMethod } from './control-method.ts';
import { CONTROL_VERSION, type ControlFailure, ControlResponse, Hello } from './control-protocol.ts';

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const HELLO_DEADLINE_MS = 5_000;

interface Waiting {
  readonly resolve: (response: ControlResponse) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((line: string) => void) | undefined;
}

export interface CallOptions {
  /** Lines that say how the call comes along, before its answer. */
  readonly onProgress?: (line: string) => void;
  /** Ends the wait with a CancelledError; the daemon learns of it when the connection is closed. */
  readonly signal?: AbortSignal;
}

/** The connection is gone, and with it every answer that was to come over it. */
export class ConnectionLostError extends HostError {}

/** The daemon, as the command line sees it. Calls throw what the daemon threw, or ConnectionLostError. */
export class ControlClient {
  readonly #connection: Duplex;
  readonly #waiting = new Map<number, Waiting>();
  readonly #greeting: {
    promise: Promise<Hello['hello']>;
    resolve: (hello: Hello['hello']) => void;
    reject: (error: Error) => void;
  };
  #lastId = 0;
  #lost: ConnectionLostError | undefined;

  private constructor(connection: Duplex) {
    this.#connection = connection;
    this.#greeting = withResolvers();
    const lines = new BoundedLines({
      maxBytes: MAX_ANSWER_BYTES,
      onLine: (line) => this.#receive(line),
      onOversized: () => this.#fail('sent more than this release reads at once'),
    });
    connection.on('data', (chunk: Buffer) => lines.push(chunk));
    connection.on('error', () => this.#fail('broke the connection'));
    connection.on('close', () => this.#fail('closed the connection'));
  }

  /** Throws HostError when what answers is no daemon, or one whose control protocol differs. */
  static async greet(
    connection: Duplex,
  ): Promise<{ readonly client: ControlClient; readonly daemon: Hello['hello'] }> {
    const client = new ControlClient(connection);
    const timer = setTimeout(() => client.#fail('did not say hello'), HELLO_DEADLINE_MS);
    try {
      const daemon = await client.#greeting.promise;
      if (daemon.protocol !== CONTROL_VERSION) {
        client.close();
        throw new HostError(
          `The running daemon (release ${daemon.version}, pid ${daemon.pid}) speaks another control protocol`,
          {
            hint: `End it with "kill ${daemon.pid}"; its tasks go on and the next command starts a new daemon.`,
          },
        );
      }
      return { client, daemon };
    } finally {
      clearTimeout(timer);
    }
  }

  async call<P extends z.ZodType, R extends z.ZodType>(
    method: ControlMethod<P, R>,
    params: z.input<P>,
    options: CallOptions = {},
  ): Promise<z.output<R>> {
    const { onProgress, signal } = options;
    if (signal?.aborted === true) throw cancelled();
    // It may have gone while nobody waited: nothing would answer, and nothing end the wait.
    if (this.#lost !== undefined) throw this.#lost;
    const id = ++this.#lastId;
    const leave = () => {
      this.#waiting.get(id)?.reject(cancelled());
      this.#waiting.delete(id);
    };
    signal?.addEventListener('abort', leave, { once: true });
    const response = await new Promise<ControlResponse>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onProgress });
      this.#connection.write(`${JSON.stringify({ id, method: method.name, params })}\n`);
    }).finally(() => signal?.removeEventListener('abort', leave));
    if (response.error !== undefined) throw toError(response.error);
    const result = method.result.safeParse(response.result);
    if (!result.success) {
      throw new HostError(`The daemon's answer to ${method.name} is not understood`, {
        hint: 'It may be of another release: "terok-mcp daemon stop", then try again.',
        details: z.prettifyError(result.error),
      });
    }
    return result.data;
  }

  close(): void {
    this.#connection.destroy();
  }

  #receive(line: string): void {
    const message = parseJson(line);
    const hello = Hello.safeParse(message);
    if (hello.success) {
      this.#greeting.resolve(hello.data.hello);
      return;
    }
    const response = ControlResponse.safeParse(message);
    if (!response.success) {
      this.#fail('said something that is not understood');
      return;
    }
    const { id, progress } = response.data;
    const waiting = this.#waiting.get(id);
    if (progress !== undefined) {
      waiting?.onProgress?.(progress);
      return;
    }
    waiting?.resolve(response.data);
    this.#waiting.delete(id);
  }

  #fail(what: string): void {
    const error = new ConnectionLostError(`The daemon ${what}`, {
      hint: 'Try again; its log says more ("terok-mcp help" names it).',
    });
    this.#lost ??= error;
    this.#greeting.reject(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#connection.destroy();
  }
}

const cancelled = (): CancelledError => new CancelledError('Interrupted before the daemon answered');

function toError({ code, message, hint, details }: ControlFailure): RuntimeError {
  const detail = { hint, details };
  switch (code) {
    case 'INVALID_INPUT':
      return new InvalidInputError(message, detail);
    case 'NOT_FOUND':
      return new NotFoundError(message, detail);
    case 'CONFLICT':
      return new ConflictError(message, detail);
    case 'POLICY_DENIED':
      return new PolicyError(message, detail);
    case 'HOST_UNSUPPORTED':
      return new HostError(message, detail);
    case 'CANCELLED':
      return new CancelledError(message, detail);
    default:
      return new CommandError(message, detail);
  }
}

function withResolvers<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
} {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
