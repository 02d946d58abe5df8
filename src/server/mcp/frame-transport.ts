import type { Duplex, Readable, Writable } from 'node:stream';
import {
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResponse,
  type JSONRPCMessage,
  type RequestId,
  serializeMessage,
  type Transport,
} from '@modelcontextprotocol/server';
import { BoundedLines, type OversizedLine } from '../bounded-lines.ts';
import { INVALID_REQUEST, PARSE_ERROR } from './protocol-errors.ts';

/** Room for a prompt of a megabyte however it is escaped. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024;

export interface FrameStreams {
  readonly input: Readable;
  readonly output: Writable;
}

export function duplexStreams(stream: Duplex): FrameStreams {
  return { input: stream, output: stream };
}

/**
 * Newline-delimited JSON-RPC over a pair of streams. What cannot be read is answered with one error and the
 * connection goes on: a client's slip, or a frame beyond the limit, costs that frame only.
 */
export class FrameTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #streams: FrameStreams;
  readonly #lines: BoundedLines;
  #isClosed = false;

  constructor(deps: { readonly streams: FrameStreams; readonly maxFrameBytes?: number }) {
    this.#streams = deps.streams;
    const maxBytes = deps.maxFrameBytes ?? MAX_FRAME_BYTES;
    this.#lines = new BoundedLines({
      maxBytes,
      onLine: (line) => this.#receive(line),
      onOversized: (line) =>
        this.#refuse(
          salvageId(line),
          INVALID_REQUEST,
          `The message is longer than ${maxBytes} bytes. Send less at once.`,
        ),
    });
  }

  async start(): Promise<void> {
    const { input, output } = this.#streams;
    const end = () => void this.close();
    input.on('data', (chunk: Buffer) => this.#lines.push(chunk));
    input.on('end', end);
    input.on('close', end);
    input.on('error', (error) => this.#fail(error));
    output.on('error', (error) => this.#fail(error));
    input.resume();
  }

  async send(message: JSONRPCMessage): Promise<void> {
    await this.#write(serializeMessage(message));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#streams.input.destroy();
    this.#streams.output.end();
    this.onclose?.();
  }

  #receive(line: string): void {
    const message = parseJson(line);
    if (message === undefined) {
      this.#refuse(null, PARSE_ERROR, 'The message is not JSON. Send one JSON-RPC message per line.');
    } else if (isMessage(message)) {
      this.onmessage?.(message);
    } else {
      const id = idOf(message);
      this.#refuse(
        id,
        INVALID_REQUEST,
        'The message is not JSON-RPC 2.0: it needs jsonrpc "2.0" and a method, a result or an error.',
      );
    }
  }

  /** Without an id nobody waits for the answer, but whoever debugs the client can read it. */
  #refuse(id: RequestId | null, code: number, message: string): void {
    this.onerror?.(new Error(message));
    void this.#write(`${JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } })}\n`).catch(
      (error: unknown) => this.#fail(error),
    );
  }

  /** While the reader is slow nothing more is taken from it, so that answers do not pile up here. */
  async #write(text: string): Promise<void> {
    const { input, output } = this.#streams;
    if (this.#isClosed || output.writableEnded || output.destroyed)
      throw new Error('the connection is closed');
    if (output.write(text)) return;
    input.pause();
    await new Promise<void>((resolve) => {
      const done = () => {
        output.off('drain', done);
        output.off('close', done);
        resolve();
      };
      output.once('drain', done);
      output.once('close', done);
    });
    if (!this.#isClosed) input.resume();
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    void this.close();
  }
}

function isMessage(value: unknown): value is JSONRPCMessage {
  return isJSONRPCRequest(value) || isJSONRPCNotification(value) || isJSONRPCResponse(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function idOf(message: unknown): RequestId | null {
  if (typeof message !== 'object' || message === null || !('id' in message)) return null;
  const { id } = message;
  return typeof id === 'string' || (typeof id === 'number' && Number.isInteger(id)) ? id : null;
}

/** Clients write the id first or last; with it the waiting call gets its answer instead of a time-out. */
function salvageId({ head, tail }: OversizedLine): RequestId | null {
  const match =
    /"id"\s*:\s*(\d{1,15}|"[\w-]{1,64}")\s*\}\s*$/.exec(tail) ??
    /^\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(\d{1,15}|"[\w-]{1,64}")\s*,/.exec(head);
  return match?.[1] === undefined ? null : idOf({ id: parseJson(match[1]) });
}
