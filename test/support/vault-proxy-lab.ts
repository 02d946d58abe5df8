import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, type OutgoingHttpHeaders, request, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import path from 'node:path';
import { Route } from '../../src/runtime/agents/credential-schemas.ts';
import { type Clock, systemClock } from '../../src/runtime/core/clock.ts';
import type { EventInput } from '../../src/runtime/core/event-log.ts';
import { type TaskId, TaskId as TaskIdSchema } from '../../src/runtime/core/ids.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import type { AuditRecord, VaultService } from '../../src/runtime/vault/contract.ts';
import type { LiveCredential, TokenCheck, Usage } from '../../src/runtime/vault/parts.ts';
import { CredentialProxy } from '../../src/runtime/vault/proxy/credential-proxy-server.ts';
import { UpstreamClient } from '../../src/runtime/vault/proxy/upstream-client.ts';
import type { StoredCredential } from '../../src/runtime/vault/stored-credential.ts';
import type { TestCa } from './test-ca.ts';

export const TASK = TaskIdSchema.parse('k3f9a');
export const REAL_KEY = 'sk-real-0123456789/abcdefghij+KLMNOP=';

/** A token like those of tasks, from a word. */
export const tokenOf = (word: string): string =>
  `sk-terokp${createHash('sha256').update(word).digest('hex')}`;

export interface Upstream {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  /** Heads of all requests, raw. */
  readonly seen: { readonly method: string; readonly url: string; readonly headers: readonly string[] }[];
  handle: (request: IncomingMessage, response: ServerResponse) => void;
  close(): Promise<void>;
}

/** A vendor over TLS. */
export async function upstream(ca: TestCa): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const server = createServer({ cert: ca.cert, key: ca.key, requestTimeout: 0 });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const self: Upstream = {
    server,
    port,
    url: `https://localhost:${port}`,
    seen: [],
    handle: (_request, response) => response.end('{}'),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  const note = (incoming: IncomingMessage): void => {
    self.seen.push({
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers: incoming.rawHeaders,
    });
  };
  server.on('request', (incoming, response) => {
    note(incoming);
    self.handle(incoming, response);
  });
  server.on('checkContinue', (incoming, response) => {
    note(incoming);
    self.handle(incoming, response);
  });
  return self;
}

export interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: OutgoingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, string | undefined>>;
}

/** A task's proxy with stand-ins for the vault's other parts, which say what a test wants. */
export class ProxyLab implements AsyncDisposable {
  readonly audit: AuditRecord[] = [];
  readonly events: EventInput[] = [];
  readonly spent: Usage[] = [];
  readonly tokens = new Map<string, TokenCheck>();
  readonly credentials = new Map<string, StoredCredential>();
  readonly routes = new Map<string, ReturnType<typeof Route.parse>>();
  readonly revoked = new Set<(task: TaskId) => void>();
  admitted = 0;
  /** What the budget says, once set. */
  enough: string | undefined;
  /** Thrown in place of a credential. */
  liveError: Error | undefined;
  refreshes = 0;
  lockedCalls = 0;
  onRefused: (live: LiveCredential) => Promise<LiveCredential | undefined> = async (live) => live;
  readonly #versions = new Map<string, number>();
  readonly #directory: string;
  readonly #service: VaultService;
  readonly #upstreams: UpstreamClient;

  private constructor(directory: string, upstreams: UpstreamClient, start: (lab: ProxyLab) => VaultService) {
    this.#directory = directory;
    this.#upstreams = upstreams;
    this.#service = start(this);
  }

  static async open(options: {
    readonly ca: TestCa;
    readonly clock?: Clock;
    readonly env?: Readonly<Record<string, string>>;
    readonly isPublic?: (address: string) => boolean;
    readonly task?: TaskId;
  }): Promise<ProxyLab> {
    const directory = await mkdtemp('/tmp/tvp-');
    const upstreams = new UpstreamClient({
      env: options.env ?? {},
      extraCa: [options.ca.ca],
      ...(options.isPublic === undefined ? {} : { isPublic: options.isPublic }),
      // Every name is this machine.
      lookup: (_name, how, callback) => {
        if (how.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
        else callback(null, '127.0.0.1', 4);
      },
    });
    let ready: Promise<VaultService> | undefined;
    const pending: { service?: VaultService } = {};
    const lab = new ProxyLab(directory, upstreams, (self) => {
      const proxy = new CredentialProxy({
        tokens: {
          grant: () => undefined,
          check: (_task, token) => self.tokens.get(token) ?? { kind: 'unknown' },
          revoke: () => 0,
          onRevoked: (listener) => {
            self.revoked.add(listener);
            return () => self.revoked.delete(listener);
          },
        },
        budgets: {
          admit: () => {
            if (self.enough === undefined) self.admitted += 1;
            return self.enough;
          },
          spend: (_task, _request, usage) => {
            self.spent.push(usage);
            return 0.25;
          },
          used: () => {
            throw new Error('not asked for');
          },
        },
        live: {
          get: async (provider, set) => self.#live(provider, set),
          refused: async (live) => {
            self.refreshes += 1;
            return self.onRefused(live);
          },
        },
        audit: { append: (record) => self.audit.push(record) },
        events: {
          record: (event) => {
            self.events.push(event);
            return { id: 1, at: '', project: '', task: '', actor: event.actor, kind: event.kind, data: {} };
          },
        },
        clock: options.clock ?? systemClock,
        log: silentLogger,
        routes: async () => self.routes,
        upstreams,
        onLocked: () => {
          self.lockedCalls += 1;
        },
      });
      ready = proxy.serve({
        task: options.task ?? TASK,
        project: { id: 'alpha' },
        socketPath: path.join(directory, 'vault.sock'),
      });
      return {
        close: async () => pending.service?.close(),
        [Symbol.asyncDispose]: async () => pending.service?.close(),
      };
    });
    const service = await ready;
    if (service !== undefined) pending.service = service;
    return lab;
  }

  get socketPath(): string {
    return path.join(this.#directory, 'vault.sock');
  }

  /** Adds a provider with a credential and a token; returns the token. */
  provide(
    name: string,
    route: Parameters<typeof Route.parse>[0],
    credential: StoredCredential = { kind: 'api_key', key: REAL_KEY },
  ): string {
    this.routes.set(name, Route.parse(route));
    this.credentials.set(name, credential);
    const token = tokenOf(name);
    this.tokens.set(token, { kind: 'valid', provider: name, set: 'default' });
    return token;
  }

  #live(provider: string, set: string): LiveCredential | undefined {
    if (this.liveError !== undefined) throw this.liveError;
    const credential = this.credentials.get(provider);
    if (credential === undefined) return undefined;
    return this.liveOf(provider, set, credential, this.#versions.get(provider) ?? 1);
  }

  liveOf(provider: string, set: string, credential: StoredCredential, version: number): LiveCredential {
    const info = {
      provider,
      set,
      kind: credential.kind,
      version,
      storedAt: '',
      expiresAt: undefined,
      problem: undefined,
    };
    return { info, credential };
  }

  /** What counts from now on. */
  renew(provider: string, credential: StoredCredential): void {
    this.credentials.set(provider, credential);
    this.#versions.set(provider, (this.#versions.get(provider) ?? 1) + 1);
  }

  current(provider: string): LiveCredential | undefined {
    return this.#live(provider, 'default');
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  ask(options: {
    readonly path: string;
    readonly method?: string;
    readonly headers?: OutgoingHttpHeaders | readonly string[];
    readonly body?: Buffer | string | undefined;
  }): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          socketPath: this.socketPath,
          path: options.path,
          method: options.method ?? 'GET',
          agent: false,
          headers: options.headers ?? {},
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              statusText: response.statusMessage ?? '',
              headers: response.headers,
              rawHeaders: response.rawHeaders,
              body: Buffer.concat(chunks),
              trailers: response.trailers,
            }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(options.body);
    });
  }

  /** A connection for what no client would send. */
  raw(): Socket {
    return connect(this.socketPath);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service.close();
    await this.#upstreams[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
