import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import type { Answer, ApiAnswer } from './scripted-llm/answer.ts';
import { chatAnswer } from './scripted-llm/chat-api.ts';
import { type Api, conversationOf, promptsOf, type Turn } from './scripted-llm/conversation.ts';
import { type Json, recordOf, textOf } from './scripted-llm/json.ts';
import { messagesAnswer } from './scripted-llm/messages-api.ts';
import { responsesAnswer } from './scripted-llm/responses-api.ts';
import { ResponsesSocket } from './scripted-llm/responses-socket.ts';
import { type Failure, nextStep, type Scripts, type Step, stepsDone } from './scripted-llm/script.ts';
import { callFor, offeredTools } from './scripted-llm/tool-calls.ts';

export interface LlmOptions {
  /** Absent: plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
  /** Takes the Responses API over a websocket; else such a request is answered with 426. */
  readonly websockets?: boolean | undefined;
}

/** One request as it came. */
export interface LlmRequest {
  /** Milliseconds since the server was started. */
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly api: Api | undefined;
  readonly body: Json;
  readonly conversation: readonly Turn[];
  /** Names of the tools offered; none in what agents ask beside the work, like a title. */
  readonly tools: readonly string[];
}

const ANSWERS = { messages: messagesAnswer, responses: responsesAnswer, chat: chatAnswer } as const;
const PATHS: readonly (readonly [ending: string, api: Api])[] = [
  ['/messages', 'messages'],
  ['/responses', 'responses'],
  ['/chat/completions', 'chat'],
];
const TITLE: Step = { text: 'A title' };

/**
 * A model that does what a script says, on the host's loopback. It remembers nothing between requests: a
 * conversation says itself how far it is, so any number of agents can be at it at once.
 */
export class ScriptedLlmServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #started = performance.now();
  readonly #failuresGiven = new Map<Failure, number>();
  readonly #requests: LlmRequest[] = [];
  readonly #socket = new ResponsesSocket(async (message, body) => {
    const { tools, conversation } = this.#remember(message, body, 'responses');
    const step = await patient(this.#next(conversation, tools.length > 0));
    if ('hang' in step || 'error' in step) throw new Error('no such step over a websocket');
    return responsesAnswer(answerTo(step, body, tools)).stream.map(({ data }) => recordOf(data));
  });
  /** Headers of requests for a websocket. */
  readonly upgrades: IncomingHttpHeaders[] = [];
  script: Scripts;

  private constructor(script: Scripts, { tls, websockets = false }: LlmOptions) {
    this.script = script;
    this.#server = tls === undefined ? createServer() : createTlsServer({ key: tls.key, cert: tls.cert });
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch((error: unknown) => {
        sendJson(response, 500, { error: { message: String(error) } });
      });
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.upgrades.push(request.headers);
      if (websockets) this.#socket.upgrade(request, socket, head);
      // Codex tries a websocket first, with its own provider.
      else socket.end('HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
  }

  static async start(script: Scripts = [], port = 0, options: LlmOptions = {}): Promise<ScriptedLlmServer> {
    const server = new ScriptedLlmServer(script, options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(port, '127.0.0.1', resolve);
    });
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return isInet(address) ? address.port : 0;
  }

  /** As project.yml names it. */
  get endpoint(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  get requests(): readonly LlmRequest[] {
    return this.#requests;
  }

  /** Requests of an agent at work, oldest first: those that offer tools. */
  get work(): readonly LlmRequest[] {
    return this.#requests.filter(({ api, tools }) => api !== undefined && tools.length > 0);
  }

  /** Prompts of the last conversation, oldest first. */
  get prompts(): readonly string[] {
    return promptsOf(this.work.at(-1)?.conversation ?? []);
  }

  forget(): void {
    this.#requests.length = 0;
    this.#failuresGiven.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(message);
    const path = pathOf(message);
    const method = message.method ?? 'GET';
    const wanted = method === 'POST' ? PATHS.find(([ending]) => path.endsWith(ending))?.[1] : undefined;
    const { api, tools, conversation } = this.#remember(message, body, wanted);
    if (api === undefined) {
      answerAside(method, path, response);
      return;
    }
    const step = await patient(this.#next(conversation, tools.length > 0));
    if ('hang' in step) return;
    if ('error' in step) {
      sendFailure(response, step.error);
      return;
    }
    const answer = ANSWERS[api](answerTo(step, body, tools));
    if (body['stream'] === true) sendStream(response, answer);
    else sendJson(response, 200, answer.whole);
  }

  #remember(message: IncomingMessage, body: Json, api: Api | undefined) {
    const tools = api === undefined ? [] : offeredTools(api, body);
    const conversation = api === undefined ? [] : conversationOf(api, body);
    this.#requests.push({
      atMs: performance.now() - this.#started,
      method: message.method ?? 'GET',
      path: pathOf(message),
      headers: message.headers,
      api,
      body,
      conversation,
      tools: tools.map(({ name }) => name),
    });
    return { api, tools, conversation };
  }

  #next(conversation: readonly Turn[], isWork: boolean): Step {
    const script = typeof this.script === 'function' ? this.script(conversation) : this.script;
    const step = nextStep(script, stepsDone(conversation), (failure) => {
      if (!isWork) return false;
      const given = this.#failuresGiven.get(failure) ?? 0;
      this.#failuresGiven.set(failure, given + 1);
      return given < (failure.times ?? 0);
    });
    return isWork || 'hang' in step || 'error' in step ? step : TITLE;
  }
}

const pathOf = (message: IncomingMessage): string =>
  new URL(message.url ?? '/', 'http://localhost').pathname.replace(/(?<=.)\/+$/, '');

async function patient(first: Step): Promise<Exclude<Step, { readonly after: Promise<unknown> }>> {
  let step = first;
  for (; 'after' in step; step = step.next) await step.after;
  return step;
}

const answerTo = (
  step: Exclude<
    Step,
    { readonly after: Promise<unknown> } | { readonly hang: true } | { readonly error: Failure }
  >,
  body: Json,
  tools: ReturnType<typeof offeredTools>,
): Answer => ({
  model: textOf(body['model']) ?? 'unnamed',
  text: 'text' in step ? step.text : 'I am at it.',
  call: callFor(step, tools),
});

async function bodyOf(message: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(Buffer.from(chunk));
  const raw = Buffer.concat(chunks);
  if (raw.length === 0) return {};
  const text = (message.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString('utf8');
  try {
    return recordOf(JSON.parse(text));
  } catch {
    return { unreadable: text.slice(0, 500) };
  }
}

const MODELS = ['scripted-model', 'claude-sonnet-4-5', 'gpt-5'];

/** What agents ask besides: whether somebody is there, which models there are, how long a text is. */
function answerAside(method: string, path: string, response: ServerResponse): void {
  if (path.endsWith('/count_tokens')) sendJson(response, 200, { input_tokens: 100 });
  else if (method === 'HEAD' || path === '/') response.writeHead(200).end();
  else if (path.endsWith('/models')) {
    const data = MODELS.map((id) => ({ id, object: 'model', type: 'model', display_name: id, created: 0 }));
    sendJson(response, 200, { object: 'list', has_more: false, data, models: [] });
  } else sendFailure(response, { status: 404, type: 'not_found_error', message: `nothing at ${path}` });
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: Json,
  headers: Failure['headers'] = {},
): void {
  if (response.headersSent) {
    response.end();
    return;
  }
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function sendFailure(response: ServerResponse, { status, type, message, headers }: Failure): void {
  const error = { type: type ?? 'api_error', message: message ?? 'as the script says' };
  sendJson(response, status, { type: 'error', error }, headers);
}

function sendStream(response: ServerResponse, { stream }: ApiAnswer): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  for (const { name, data } of stream) {
    const line = typeof data === 'string' ? data : JSON.stringify(data);
    response.write(`${name === undefined ? '' : `event: ${name}\n`}data: ${line}\n\n`);
  }
  response.end();
}

const isInet = (address: AddressInfo | string | null): address is AddressInfo =>
  typeof address === 'object' && address !== null;
