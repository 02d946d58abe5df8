import { chmod } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '../runtime/core/log.ts';
import { listenOnUnixSocket } from '../runtime/core/unix-socket-server.ts';
import { type DaemonProtocol, MAX_PREFACE_BYTES, parsePreface } from './daemon-protocol.ts';

const PREFACE_DEADLINE_MS = 5_000;
const REFUSAL_LINGER_MS = 1_000;
const MAX_CONNECTIONS = 256;
const NEWLINE = 0x0a;

export type ProtocolHandler = (connection: Duplex) => void;

/**
 * The daemon's unix socket. INVARIANT: only the holder of the daemon lock listens, so a socket file found
 * there is a leftover and may be removed. A broken client costs its own connection only.
 */
export class DaemonServer {
  readonly #socketPath: string;
  readonly #handlers: Readonly<Record<DaemonProtocol, ProtocolHandler>>;
  readonly #logger: Logger;
  readonly #prefaceDeadlineMs: number;
  readonly #connections = new Set<Socket>();
  readonly #server: Server;

  constructor(deps: {
    readonly socketPath: string;
    readonly handlers: Readonly<Record<DaemonProtocol, ProtocolHandler>>;
    readonly logger: Logger;
    readonly prefaceDeadlineMs?: number;
  }) {
    this.#socketPath = deps.socketPath;
    this.#handlers = deps.handlers;
    this.#logger = deps.logger;
    this.#prefaceDeadlineMs = deps.prefaceDeadlineMs ?? PREFACE_DEADLINE_MS;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Throws HostError when something that is no socket stands in the way. */
  async listen(): Promise<void> {
    await listenOnUnixSocket(this.#server, this.#socketPath);
    this.#server.on('error', (error) => this.#logger.error({ err: error }, 'the listener failed'));
    await chmod(this.#socketPath, 0o600);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('error', (error) => this.#logger.debug({ problem: error.message }, 'a connection broke'));
    readPreface(socket, this.#prefaceDeadlineMs, (line) => {
      const protocol = line === undefined ? undefined : parsePreface(line);
      if (protocol === undefined) {
        // Readable by a person and by a JSON-RPC client alike.
        const message =
          'This daemon speaks terok-mcp/1 mcp and terok-mcp/1 control. Install the same release on both sides.';
        socket.end(`${JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32600, message } })}\n`);
        // What is still on its way is read and dropped: closing over it would lose our line as well.
        socket.resume();
        setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS).unref();
        return;
      }
      try {
        this.#handlers[protocol](socket);
      } catch (error) {
        this.#logger.error({ err: error, protocol }, 'a connection could not be served');
        socket.destroy();
      }
    });
  }
}

/** Calls back once: with the first line, or undefined when none came in time or within its bound. */
function readPreface(socket: Socket, deadlineMs: number, callback: (line: string | undefined) => void): void {
  let received = Buffer.alloc(0);
  const settle = (line: string | undefined) => {
    clearTimeout(timer);
    socket.off('data', onData);
    socket.off('close', onClose);
    callback(line);
  };
  const onData = (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf(NEWLINE);
    if (end === -1) {
      if (received.length > MAX_PREFACE_BYTES) settle(undefined);
      return;
    }
    socket.pause();
    const rest = received.subarray(end + 1);
    if (rest.length > 0) socket.unshift(rest);
    settle(end > MAX_PREFACE_BYTES ? undefined : received.subarray(0, end).toString('latin1'));
  };
  const onClose = () => {
    clearTimeout(timer);
    socket.off('data', onData);
  };
  const timer = setTimeout(() => settle(undefined), deadlineMs);
  socket.on('data', onData);
  socket.on('close', onClose);
}
