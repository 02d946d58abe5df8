import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../core/log.ts';
import { type Arrival, admit, type Verdict } from './admission.ts';
import type { WebDoor } from './contract.ts';
import type { DoorKey } from './door-key.ts';
import type { Dial } from './namespace-client.ts';
import { onwardPage, PAGE_HEADERS, page } from './pages.ts';
import { type Forwarding, forwardRequest, forwardUpgrade } from './program-client.ts';

/** Bounds of one door. Any user of this machine can connect to it, and the program behind it is not trusted. */
export interface DoorLimits {
  /** Connections to the program, each a process of the host. */
  readonly helpers: number;
  readonly connections: number;
  /** For the head of a request. */
  readonly headMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  readonly webSocketIdleMs: number;
}

const LIMITS: DoorLimits = {
  helpers: 64,
  connections: 256,
  headMs: 15_000,
  idleMs: 10 * 60_000,
  webSocketIdleMs: 2 * 3_600_000,
};
const UPLOAD_MS = 3_600_000;
const CLOSE_PATIENCE_MS = 3_000;

const TITLES = {
  400: 'Bad request',
  401: 'A token is needed',
  403: 'Refused',
  421: 'Wrong address',
  502: 'No answer',
  503: 'Too busy',
} as const;

/** One task's door: lets requests in or not, and passes them to the program in the task's network. */
export class WebDoorServer implements WebDoor {
  readonly #key: DoorKey;
  readonly #publicUrl: URL;
  readonly #dial: Dial;
  readonly #log: Logger;
  readonly #limits: DoorLimits;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #helpers = new Set<Promise<unknown>>();

  constructor(deps: {
    readonly key: DoorKey;
    readonly publicUrl: URL;
    readonly dial: Dial;
    readonly logger: Logger;
    readonly limits?: Partial<DoorLimits>;
  }) {
    this.#key = deps.key;
    this.#publicUrl = deps.publicUrl;
    this.#dial = deps.dial;
    this.#log = deps.logger;
    this.#limits = { ...LIMITS, ...deps.limits };
    this.#server = createServer({ requestTimeout: UPLOAD_MS, headersTimeout: this.#limits.headMs });
    this.#server.maxConnections = this.#limits.connections;
    this.#server.timeout = this.#limits.idleMs;
    this.#server.on('connection', (socket) => this.#know(socket));
    this.#server.on('request', (request, response) =>
      this.#guarded(response, () => this.#answer(request, response)),
    );
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** On loopback alone. */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
        this.#server.removeListener('error', reject);
        this.#server.on('error', (error) => this.#log.warn({ error: error.message }, 'web door'));
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    const patience = new AbortController();
    await Promise.race([
      Promise.all(this.#helpers),
      delay(CLOSE_PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #know(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const verdict = this.#verdict(request, { isUpgrade: false });
    if (verdict.kind !== 'forward') {
      this.#stay(verdict, response);
      return;
    }
    const forwarding = this.#forwarding(request, verdict.target, () => response);
    if (forwarding !== undefined) forwardRequest(forwarding, response);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return;
    }
    let response: ServerResponse | undefined;
    const answer = (): ServerResponse => {
      response ??= responseOn(socket, request);
      return response;
    };
    this.#guarded(socket, () => {
      const verdict = this.#verdict(request, { isUpgrade: true });
      if (verdict.kind !== 'forward') {
        this.#stay(verdict, answer());
      } else if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
        refuse(answer(), 400, 'Only WebSockets are served besides HTTP.');
      } else {
        const forwarding = this.#forwarding(request, verdict.target, answer);
        if (forwarding === undefined) return;
        socket.setTimeout(this.#limits.webSocketIdleMs, () => socket.destroy());
        forwardUpgrade(forwarding, { socket, head, answer });
      }
    });
  }

  /** A defect here costs one connection, never the daemon. */
  #guarded(connection: { destroy(): unknown }, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error({ err: error }, 'a request to a web task failed unexpectedly');
      connection.destroy();
    }
  }

  #verdict(request: IncomingMessage, { isUpgrade }: { readonly isUpgrade: boolean }): Verdict {
    const arrival: Arrival = {
      method: request.method ?? '',
      target: request.url ?? '',
      isUpgrade,
      host: request.headersDistinct['host'] ?? [],
      origin: request.headers.origin,
      cookie: request.headers.cookie,
      fetchSite: header(request, 'sec-fetch-site'),
      fetchMode: header(request, 'sec-fetch-mode'),
      fetchDest: header(request, 'sec-fetch-dest'),
      serviceWorker: header(request, 'service-worker'),
    };
    return admit(arrival, { key: this.#key, publicUrl: this.#publicUrl });
  }

  #stay(verdict: Exclude<Verdict, { kind: 'forward' }>, response: ServerResponse): void {
    if (verdict.kind === 'refuse') {
      refuse(response, verdict.status, verdict.reason);
      return;
    }
    const cookie = { ...PAGE_HEADERS, 'set-cookie': this.#key.setCookie(verdict.token) };
    if (verdict.isFromElsewhere) response.writeHead(200, cookie).end(onwardPage(verdict.location));
    else response.writeHead(303, { ...cookie, location: verdict.location }).end();
  }

  /** Undefined, and answered, when there are too many already. */
  #forwarding(
    incoming: IncomingMessage,
    target: string,
    answer: () => ServerResponse,
  ): Forwarding | undefined {
    if (this.#helpers.size >= this.#limits.helpers) {
      refuse(answer(), 503, 'Too many requests to this task are under way.');
      return undefined;
    }
    const { stream, gone } = this.#dial();
    this.#helpers.add(gone);
    void gone.finally(() => this.#helpers.delete(gone));
    const noAnswer = (): void => refuse(answer(), 502, 'The program does not answer, or not yet.');
    return { incoming, target, program: stream, noAnswer };
  }
}

/** A request whose body nobody wants is over with its answer: the connection is closed. */
function refuse(response: ServerResponse, status: keyof typeof TITLES, reason: string): void {
  if (response.headersSent || response.destroyed) return;
  const retry = status === 502 || status === 503 ? { 'retry-after': '1' } : {};
  response
    .writeHead(status, { ...PAGE_HEADERS, ...retry, connection: 'close' })
    .end(page(TITLES[status], reason));
}

/** Node gives no response for an upgrade; one that is not agreed to needs one. */
function responseOn(socket: Socket, request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.end();
  });
  return response;
}

function header(request: IncomingMessage, name: string): string | undefined {
  return request.headersDistinct[name]?.[0];
}
