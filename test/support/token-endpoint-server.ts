import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { TestAuthority } from './test-authority.ts';

const Body = z.object({ refresh_token: z.string(), client_id: z.string(), grant_type: z.string() });

/** A vendor's token endpoint over TLS, whose refresh tokens are good for one use: the second is theft. */
export class TokenEndpoint implements AsyncDisposable {
  readonly #server: Server;
  /** Every refresh token that was ever sent, in order. */
  readonly sent: string[] = [];
  readonly bodies: string[] = [];
  /** Refresh tokens that were sent when they no longer counted. */
  readonly reused: string[] = [];
  refreshToken = 'refresh-0-of-the-tests';
  accessToken = 'access-0-of-the-tests';
  /** Milliseconds until it answers. */
  delayMs = 0;
  expiresIn: number | undefined = 3600;
  /** Answered instead, where set. */
  answer: { readonly status: number; readonly body: string } | undefined;
  #count = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(authority: TestAuthority): Promise<TokenEndpoint> {
    const server = createServer({ key: authority.key, cert: authority.cert });
    const endpoint = new TokenEndpoint(server);
    server.on('request', (request, response) => {
      void (async () => {
        const body = await text(request);
        endpoint.bodies.push(body);
        const { status, body: said } = endpoint.#settle(body, String(request.headers['content-type']));
        await delay(endpoint.delayMs);
        response.writeHead(status, { 'content-type': 'application/json' }).end(said);
      })();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return endpoint;
  }

  get url(): string {
    const address = this.#server.address();
    return `https://localhost:${typeof address === 'object' ? address?.port : ''}/oauth/token`;
  }

  /** The rotation happens when it is asked for, whether or not the answer is ever read. */
  #settle(body: string, contentType: string): { readonly status: number; readonly body: string } {
    const isForm = contentType.includes('form');
    const fields = Body.parse(isForm ? Object.fromEntries(new URLSearchParams(body)) : JSON.parse(body));
    this.sent.push(fields.refresh_token);
    if (this.answer !== undefined) return this.answer;
    if (fields.refresh_token !== this.refreshToken) {
      this.reused.push(fields.refresh_token);
      return { status: 400, body: '{"error":"invalid_grant"}' };
    }
    this.#count += 1;
    this.refreshToken = `refresh-${this.#count}-of-the-tests`;
    this.accessToken = `access-${this.#count}-of-the-tests`;
    return {
      status: 200,
      body: JSON.stringify({
        access_token: this.accessToken,
        refresh_token: this.refreshToken,
        expires_in: this.expiresIn,
      }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
