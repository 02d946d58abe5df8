import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../core/log.ts';
import { closeServer, listenOnUnixSocket } from '../core/unix-socket-server.ts';
import type { Relay, RelayService } from './contract.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import { dialEndpoint } from './endpoint-client.ts';

const MAX_CONNECTIONS = 256;

/** Listens on a task's socket and pairs each connection with one of its own to the endpoint. */
export class SocketRelay implements Relay {
  readonly #log: Logger;

  constructor(deps: { readonly log: Logger }) {
    this.#log = deps.log;
  }

  async serve(options: { readonly socketPath: string; readonly endpoint: string }): Promise<RelayService> {
    const service = new RelayListener(parseEndpoint(options.endpoint), this.#log);
    await service.listen(options.socketPath);
    return service;
  }
}

class RelayListener implements RelayService {
  readonly #endpoint: Endpoint;
  readonly #log: Logger;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(endpoint: Endpoint, log: Logger) {
    this.#endpoint = endpoint;
    this.#log = log;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#pair(client));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  async listen(socketPath: string): Promise<void> {
    await listenOnUnixSocket(this.#server, socketPath);
  }

  async close(): Promise<void> {
    await closeServer(this.#server, this.#sockets);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** `pipe` keeps the pace of the slower side, and passes on the end of one direction without the other's. */
  #pair(client: Socket): void {
    const endpoint = dialEndpoint(this.#endpoint);
    client.pipe(endpoint);
    endpoint.pipe(client);
    this.#join(client, endpoint);
    this.#join(endpoint, client);
    endpoint.once('error', (error) => this.#log.debug({ error: error.message }, 'relay endpoint'));
  }

  #join(socket: Socket, peer: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      // Closed in order: the peer has everything and ends by itself. Broken: nothing more can come.
      if (!socket.readableEnded || socket.errored !== null) peer.destroy();
    });
  }
}
