import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import type { CommandRunner } from '../core/command.ts';
import type { Logger } from '../core/log.ts';
import { listenOnUnixSocket } from '../core/unix-socket-server.ts';
import { BackendExchange } from './backend-exchange.ts';
import type { GateService } from './contract.ts';
import type { GateLimits } from './gate-limits.ts';
import { decideRequest, type GateDecision } from './gate-requests.ts';
import { RefusalLog } from './refusal-log.ts';
import { RequestSlots } from './request-slots.ts';

export interface GateServerOptions {
  readonly socketPath: string;
  readonly project: string;
  readonly task: string;
  readonly tokenHash: Uint8Array;
  readonly isReadOnly: boolean;
  readonly limits: GateLimits;
  /** Environment of `git http-backend`, the request's own part aside. */
  readonly environment: Readonly<Record<string, string>>;
  readonly gates: string;
  /** Runs when a push may have changed refs, before the client hears that it is over. */
  readonly afterPush: () => Promise<void>;
}

interface GateServerDeps {
  readonly runner: CommandRunner;
  readonly log: Logger;
  readonly clock: Clock;
}

const CLOSE_GRACE_MS = 3_000;

/** Serves one task's repository over smart HTTP on one unix socket. */
export class GateServer implements GateService {
  readonly #options: GateServerOptions;
  readonly #runner: CommandRunner;
  readonly #log: Logger;
  readonly #refusals: RefusalLog;
  readonly #slots: RequestSlots;
  readonly #closing = new AbortController();
  readonly #exchanges = new Set<Promise<void>>();
  readonly #server: Server;
  #closed: Promise<void> | undefined;

  private constructor(options: GateServerOptions, deps: GateServerDeps) {
    this.#options = options;
    this.#runner = deps.runner;
    this.#log = deps.log.child({ task: options.task });
    this.#refusals = new RefusalLog({ log: this.#log, clock: deps.clock });
    const { limits } = options;
    this.#slots = new RequestSlots({ slots: limits.concurrentRequests, maxWaiting: limits.waitingRequests });
    this.#server = createServer(
      {
        headersTimeout: limits.headMs,
        requestTimeout: limits.requestMs,
        connectionsCheckingInterval: Math.min(5_000, limits.headMs),
        keepAliveTimeout: 15_000,
        maxHeaderSize: 16 * 1024,
      },
      (request, response) => this.#accept(request, response),
    );
    this.#server.maxConnections = limits.concurrentRequests + limits.waitingRequests;
    this.#server.setTimeout(limits.idleMs);
  }

  static async listen(options: GateServerOptions, deps: GateServerDeps): Promise<GateServer> {
    const server = new GateServer(options, deps);
    await listenOnUnixSocket(server.#server, options.socketPath);
    return server;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#closing.abort();
    // Ended processes still let a finished push be published.
    const grace = setTimeout(() => this.#server.closeAllConnections(), CLOSE_GRACE_MS);
    await Promise.allSettled([...this.#exchanges]);
    clearTimeout(grace);
    this.#server.closeAllConnections();
    await closed;
    this.#refusals.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    const { project, tokenHash, isReadOnly } = this.#options;
    const decision = decideRequest(
      {
        method: request.method ?? '',
        url: request.url ?? '',
        authorization: request.headers.authorization,
        contentType: request.headers['content-type'],
        contentEncoding: request.headers['content-encoding'],
      },
      { project, tokenHash, isReadOnly },
    );
    if (decision.kind === 'refuse') {
      this.#refusals.add(decision.status);
      refuse(request, response, decision);
      return;
    }
    const exchange = this.#serve(request, response, decision)
      .catch((error: unknown) => {
        this.#log.error({ err: error }, 'gate request failed');
        response.destroy();
      })
      .finally(() => this.#exchanges.delete(exchange));
    this.#exchanges.add(exchange);
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    decision: GateDecision & { readonly kind: 'serve' },
  ): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const release = await this.#slots.take(AbortSignal.any([gone.signal, this.#closing.signal]));
    if (release === undefined) {
      const text = 'This task has too many git requests open. Wait for some to end, then try again.\n';
      refuse(request, response, { kind: 'refuse', status: 503, text, headers: { 'Retry-After': '5' } });
      return;
    }
    try {
      const exchange = new BackendExchange({
        ...this.#options,
        runner: this.#runner,
        log: this.#log,
        closing: this.#closing.signal,
      });
      await exchange.run(request, response, decision);
    } finally {
      release();
    }
  }
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  decision: GateDecision & { readonly kind: 'refuse' },
): void {
  if (response.headersSent || response.destroyed) return;
  // What the client still sends is read and dropped, or it would never look at the answer.
  request.resume();
  response.writeHead(decision.status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Cache-Control': 'no-store',
    ...(decision.status === 401 ? {} : { Connection: 'close' }),
    ...decision.headers,
  });
  response.end(decision.text);
}
