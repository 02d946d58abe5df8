import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TestAuthority } from './test-authority.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** A vendor's API on loopback, over TLS, that remembers what came. Answers everything with its path, unless told else. */
export class TlsUpstream implements AsyncDisposable {
  readonly #server: Server;
  readonly seen: SeenRequest[] = [];
  answer: RequestListener = (request, response) => void response.end(`heard ${request.url}\n`);

  private constructor({ key, cert }: Pick<TestAuthority, 'key' | 'cert'>) {
    this.#server = createServer({ key, cert }, (request, response) => {
      this.seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
      this.answer(request, response);
    });
  }

  static async start(authority: Pick<TestAuthority, 'key' | 'cert'>): Promise<TlsUpstream> {
    const upstream = new TlsUpstream(authority);
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get url(): string {
    const address = this.#server.address();
    return `https://localhost:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}
