import type { Readable, Writable } from 'node:stream';
import type { CommandRunner, StreamingProcess } from '../core/command.ts';
import type { Logger } from '../core/log.ts';
import { cleanTail } from '../core/untrusted-text.ts';
import { backendVariables } from './backend-command.ts';
import { parseCgiHead } from './cgi-response.ts';
import type { GateLimits } from './gate-limits.ts';
import type { GitService } from './gate-requests.ts';
import { tooLargeAnswer } from './push-report.ts';

export interface BackendExchangeDeps {
  readonly project: string;
  readonly task: string;
  readonly gates: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly limits: GateLimits;
  readonly afterPush: () => Promise<void>;
  readonly runner: CommandRunner;
  readonly log: Logger;
  /** The server closes: end what runs. */
  readonly closing: AbortSignal;
}

/** What the exchange needs of an HTTP request and its response. */
export interface ClientRequest extends Readable {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The whole body has arrived. */
  readonly complete: boolean;
}

export interface ClientResponse extends Writable {
  readonly headersSent: boolean;
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
}

type BodyEnd = 'complete' | 'too-large' | 'aborted';

/** One request through one `git http-backend`: bytes flow both ways at the pace of the slower side. */
export class BackendExchange {
  readonly #deps: BackendExchangeDeps;
  /** From here on the answer is ours: what git says of the pack that breaks off would only mislead. */
  #isTooLarge = false;

  constructor(deps: BackendExchangeDeps) {
    this.#deps = deps;
  }

  /** Ends when the process has ended and the client has its answer (or is gone). */
  async run(
    request: ClientRequest,
    response: ClientResponse,
    call: { readonly service: GitService; readonly isAdvertisement: boolean },
  ): Promise<void> {
    const isPush = call.service === 'git-receive-pack' && !call.isAdvertisement;
    const process = this.#start(request, call);
    const stop = (): void => process.kill();
    // A push goes on without its client: all of it has arrived, or its input ends and git clears away what came.
    const stopFetch = (): void => {
      if (!isPush && !response.writableFinished) process.kill();
    };
    this.#deps.closing.addEventListener('abort', stop, { once: true });
    response.once('close', stopFetch);
    if (this.#deps.closing.aborted) stop();
    const stderr = tailOf(process);
    try {
      const body = call.isAdvertisement ? endInput(process.stdin) : this.#feed(request, process);
      await this.#answer(response, process, body);
      const { exitCode } = await process.exited;
      const message = stderr();
      if (message !== '')
        this.#deps.log.debug({ service: call.service, exitCode, message }, 'git http-backend');
      if (isPush) await this.#afterPush();
      await finish(response, await body);
    } finally {
      process.kill();
      response.removeListener('close', stopFetch);
      this.#deps.closing.removeEventListener('abort', stop);
    }
  }

  #start(
    request: ClientRequest,
    call: { readonly service: GitService; readonly isAdvertisement: boolean },
  ): StreamingProcess {
    const { environment, limits, runner } = this.#deps;
    const { headers } = request;
    const variables = backendVariables({
      ...this.#deps,
      ...call,
      contentType: single(headers['content-type']),
      contentEncoding: single(headers['content-encoding']),
      gitProtocol: single(headers['git-protocol']),
    });
    return runner.stream({
      file: 'git',
      args: ['http-backend'],
      env: { ...environment, ...variables },
      timeoutMs: limits.requestMs,
    });
  }

  /** Never rejects. What comes after the process has ended, or past the limit, is read and dropped. */
  async #feed(request: ClientRequest, process: StreamingProcess): Promise<BodyEnd> {
    let bytes = 0;
    process.stdin.on('error', () => undefined);
    try {
      for await (const chunk of request) {
        if (!Buffer.isBuffer(chunk)) continue;
        bytes += chunk.length;
        if (!this.#isTooLarge && bytes > this.#deps.limits.maxPushBytes) {
          this.#isTooLarge = true;
          process.stdin.end();
        }
        if (!this.#isTooLarge && process.stdin.writable && !process.stdin.write(chunk))
          await drained(process.stdin);
      }
      process.stdin.end();
      return this.#isTooLarge ? 'too-large' : 'complete';
    } catch {
      // The client is gone. To git that is a pack that breaks off.
      process.stdin.end();
      return 'aborted';
    }
  }

  async #answer(response: ClientResponse, process: StreamingProcess, body: Promise<BodyEnd>): Promise<void> {
    let head = Buffer.alloc(0);
    for await (const chunk of process.stdout) {
      if (!Buffer.isBuffer(chunk) || response.destroyed || this.#isTooLarge) continue;
      if (response.headersSent) {
        if (!response.write(chunk)) await drained(response);
        continue;
      }
      head = Buffer.concat([head, chunk]);
      const parsed = parseCgiHead(head);
      if (parsed === 'incomplete') continue;
      if (parsed === 'malformed') process.kill();
      else {
        response.writeHead(parsed.head.status, parsed.head.headers);
        if (parsed.body.length > 0 && !response.write(parsed.body)) await drained(response);
      }
    }
    const isTooLarge = (await body) === 'too-large';
    if (response.destroyed || (response.headersSent && !isTooLarge)) return;
    if (isTooLarge) {
      const type = 'application/x-git-receive-pack-result';
      if (!response.headersSent)
        response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' });
      response.write(tooLargeAnswer(this.#deps.limits.maxPushBytes));
      return;
    }
    this.#deps.log.warn({}, 'git http-backend gave no answer');
    response.writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' });
    response.write(
      'The gate could not serve this request. Try again; if it fails again, report it to the person you work for.\n',
    );
  }

  async #afterPush(): Promise<void> {
    try {
      await this.#deps.afterPush();
    } catch (error) {
      // The push itself stands, in the namespace; it is published with the next one, or when the task ends.
      this.#deps.log.error({ err: error }, 'a push could not be published');
    }
  }
}

const single = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' ? header : undefined;

async function endInput(stdin: Writable): Promise<BodyEnd> {
  stdin.on('error', () => undefined);
  stdin.end();
  return 'complete';
}

async function finish(response: ClientResponse, body: BodyEnd): Promise<void> {
  if (body === 'aborted') response.destroy();
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    response.once('close', resolve);
    response.end(resolve);
  });
}

/** Until more can be written, or never again. */
async function drained(stream: Writable): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.removeListener(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.once(event, done);
  });
}

function tailOf(process: StreamingProcess): () => string {
  let text = '';
  process.stderr.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-4096);
  });
  return () => cleanTail(text, 1000);
}
