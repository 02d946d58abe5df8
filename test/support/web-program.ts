import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Dial } from '../../src/runtime/web/namespace-client.ts';

/** A web program of a test, and the way to it that a task's namespace is in real life. */
export class WebProgram implements AsyncDisposable {
  readonly server: Server;
  readonly seen: IncomingMessage[] = [];
  readonly #sockets = new Set<Socket>();
  dialled = 0;

  private constructor(server: Server) {
    this.server = server;
    server.on('request', (request) => this.seen.push(request));
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<WebProgram> {
    const server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const program = new WebProgram(server);
    server.on('upgrade', (request, socket) => {
      program.seen.push(request);
      const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${createHash('sha1').update(key).digest('base64')}\r\n\r\n`,
      );
      socket.on('error', () => undefined).pipe(socket);
    });
    return program;
  }

  /** Open connections to it. */
  get connections(): number {
    return this.#sockets.size;
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  readonly dial: Dial = () => {
    this.dialled += 1;
    const stream = connect({ host: '127.0.0.1', port: this.port, allowHalfOpen: true });
    stream.on('error', () => undefined);
    return { stream, gone: new Promise((resolve) => stream.once('close', resolve)) };
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
