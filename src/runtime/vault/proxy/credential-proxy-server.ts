import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TaskId } from '../../core/ids.ts';
import { listenOnUnixSocket } from '../../core/unix-socket-server.ts';
import type { VaultService } from '../contract.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { answerRefusal, Exchange } from './exchange-server.ts';
import { Refusal } from './refusal.ts';
import { SentSecrets } from './sent-secrets.ts';
import { type ProxyDeps, TaskGuard } from './task-guard.ts';
import type { UpgradeSide } from './websocket-join-server.ts';

/** Of one task, all in all. */
const MAX_CONNECTIONS = 512;
/** A connection may hold several: whoever asks does not have to wait for an answer. */
const MAX_EXCHANGES = 512;
const MAX_HEADER_BYTES = 32 * 1024;
/** For the head of a request; a body and its answer may take any time. */
const HEAD_MS = 30_000;
const KEEP_ALIVE_MS = 120_000;
const LOOK_INTERVAL_MS = 60_000;
/** Language models think for twenty minutes without a byte. */
const SILENT_LOOKS = 30;

/** Puts real credentials into tasks' requests, on one unix socket a task. */
export class CredentialProxy {
  readonly #deps: ProxyDeps;
  readonly #sent = new SentSecrets();

  constructor(deps: ProxyDeps) {
    this.#deps = deps;
  }

  /** Opens the task's socket. Connections are cut when its tokens are revoked, and at the close. */
  async serve(options: {
    readonly task: TaskId;
    readonly project: { readonly id: string };
    readonly socketPath: string;
  }): Promise<VaultService> {
    const { task, project } = options;
    const guard = new TaskGuard({ task, project: project.id, deps: this.#deps, sent: this.#sent });
    const server = new ProxyServer(guard);
    await server.listen(options.socketPath);
    return server;
  }
}

class ProxyServer implements VaultService {
  readonly #guard: TaskGuard;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #exchanges = new Map<
    Exchange,
    { readonly done: Promise<void>; progress: number; silentLooks: number }
  >();
  readonly #closing = new AbortController();
  readonly #unsubscribe: () => void;
  #closed: Promise<void> | undefined;

  constructor(guard: TaskGuard) {
    this.#guard = guard;
    this.#server = createServer({
      headersTimeout: HEAD_MS,
      requestTimeout: 0,
      connectionsCheckingInterval: 5_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    // All of them count: what was cut off could be a rule's business.
    this.#server.maxHeadersCount = 0;
    this.#server
      .on('connection', (socket) => this.#keep(socket))
      .on('request', (request, response) => this.#run(request, response, { mustContinue: false }))
      .on('checkContinue', (request, response) => this.#run(request, response, { mustContinue: true }))
      .on('checkExpectation', (request, response) =>
        this.#refused(
          request,
          response,
          new Refusal(417, 'bad_framing', 'Only 100-continue can be expected here.'),
        ),
      )
      .on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
      .on('connect', (request, socket) =>
        this.#refuse(socket, request, new Refusal(400, 'bad_path', 'This is no proxy for tunnels.')),
      )
      .on('clientError', (error, socket) => this.#malformed(error, socket));
    this.#unsubscribe = guard.deps.tokens.onRevoked((task) => {
      if (task === guard.task) this.#cut('revoked');
    });
  }

  async listen(socketPath: string): Promise<void> {
    try {
      await listenOnUnixSocket(this.#server, socketPath);
    } catch (error) {
      this.#unsubscribe();
      throw error;
    }
    this.#watchSilence().catch(() => undefined);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#unsubscribe();
    this.#closing.abort();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const running = [...this.#exchanges.values()].map(({ done }) => done);
    this.#cut('closed');
    await Promise.all(running);
    await closed;
  }

  #cut(outcome: string): void {
    for (const exchange of this.#exchanges.keys()) exchange.cut(outcome);
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    // Each of its requests listens for its end.
    socket.setMaxListeners(0);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #run(
    request: IncomingMessage,
    response: ServerResponse,
    options: { readonly mustContinue: boolean; readonly upgrade?: UpgradeSide },
  ): void {
    if (this.#exchanges.size >= MAX_EXCHANGES) {
      this.#refused(request, response, new Refusal(503, 'too_many', 'Too many requests at the same time.'));
      return;
    }
    const exchange = new Exchange({ guard: this.#guard, request, response, ...options });
    const done = exchange.run().finally(() => this.#exchanges.delete(exchange));
    this.#exchanges.set(exchange, { done, progress: 0, silentLooks: 0 });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const isWebsocket =
      request.headers.upgrade?.toLowerCase() === 'websocket' && request.method === 'GET' && !hasBody(request);
    const isPassedOver = !isWebsocket && !hasBody(request) && head.length === 0;
    if (!(socket instanceof Socket) || !(isWebsocket || isPassedOver)) {
      // Node has stopped reading HTTP here, so what follows could not be told from a next request.
      this.#refuse(
        socket,
        request,
        new Refusal(501, 'bad_framing', 'No protocol but websocket can be changed to.'),
      );
      return;
    }
    const response = responseOn(request, socket);
    if (response === undefined) this.#note(request, BROKEN);
    else if (isWebsocket) this.#run(request, response, { mustContinue: false, upgrade: { socket, head } });
    else this.#run(request, response, { mustContinue: false });
  }

  #malformed(error: Error, socket: Duplex): void {
    const code = 'code' in error ? String(error.code) : '';
    if (!socket.writable || !/^(?:HPE_|ERR_HTTP_REQUEST_TIMEOUT)/.test(code)) {
      socket.destroy();
      return;
    }
    const request = new IncomingMessage(socket instanceof Socket ? socket : new Socket());
    this.#refuse(socket, request, new Refusal(400, 'malformed', 'This is no request that could be read.'));
  }

  #refuse(socket: Duplex, request: IncomingMessage, refusal: Refusal): void {
    const response = responseOn(request, socket);
    if (response === undefined) this.#note(request, BROKEN);
    else this.#refused(request, response, refusal);
  }

  #refused(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
    this.#note(request, refusal);
    answerRefusal(request, response, refusal);
  }

  #note(
    request: IncomingMessage,
    { status, outcome }: { readonly status?: number; readonly outcome: string },
  ): void {
    const record = new ExchangeRecord(this.#guard, {
      channel: 'http',
      method: request.method ?? '',
      target: request.url ?? '',
    });
    record.status = status;
    record.outcome = outcome;
    record.finish();
  }

  async #watchSilence(): Promise<void> {
    const { clock } = this.#guard.deps;
    while (!this.#closing.signal.aborted) {
      await clock.sleep(LOOK_INTERVAL_MS, this.#closing.signal);
      for (const [exchange, seen] of this.#exchanges) {
        const { progress } = exchange;
        seen.silentLooks = progress === seen.progress ? seen.silentLooks + 1 : 0;
        seen.progress = progress;
        if (seen.silentLooks > SILENT_LOOKS) exchange.cut('silent');
      }
    }
  }
}

/** Its connection took no answer. */
const BROKEN = { outcome: 'malformed' } as const;

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;

/** An answer where Node has handed the connection over, or never came to make one. It ends with the answer. */
function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse | undefined {
  if (!(socket instanceof Socket) || socket.destroyed) {
    socket.destroy();
    return undefined;
  }
  socket.on('error', () => undefined);
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  try {
    response.assignSocket(socket);
  } catch {
    // An answer is under way on it: whoever sends rubbish in the middle of a body gets no second one.
    socket.destroy();
    return undefined;
  }
  response.once('finish', () => socket.end());
  return response;
}
