import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream';
import { requestHeaders, responseHeaders } from './forwarded-headers.ts';

/** What a program may say before its body begins. */
const MAX_HEADER_BYTES = 64 * 1024;

/** One request on its way to the program; whatever the program does ends as an answer or as a closed connection. */
export interface Forwarding {
  readonly incoming: IncomingMessage;
  readonly target: string;
  readonly program: Duplex;
  /** Says to the browser that there is no answer; asked at most once, and only before one has begun. */
  readonly noAnswer: () => void;
}

/** Passes a request on and its answer back, each at the pace of the slower side. */
export function forwardRequest(forwarding: Forwarding, answer: ServerResponse): void {
  const { incoming, program } = forwarding;
  const headers = requestHeaders(incoming.headersDistinct);
  const isChunked = incoming.headers['transfer-encoding'] !== undefined;
  const outgoing = open(forwarding, isChunked ? { ...headers, 'transfer-encoding': ['chunked'] } : headers);
  if (outgoing === undefined) return;
  answer.once('close', () => {
    outgoing.destroy();
    program.destroy();
  });
  outgoing.once('response', (message) => passOn(message, answer, forwarding));
  incoming.pipe(outgoing);
}

/** Passes a request for a WebSocket on. What is not agreed to is an answer like any other. */
export function forwardUpgrade(
  forwarding: Forwarding,
  browser: { readonly socket: Duplex; readonly head: Buffer; readonly answer: () => ServerResponse },
): void {
  const { incoming, program } = forwarding;
  const { socket, head } = browser;
  const outgoing = open(forwarding, {
    ...requestHeaders(incoming.headersDistinct),
    connection: ['Upgrade'],
    upgrade: ['websocket'],
  });
  if (outgoing === undefined) return;
  socket.once('close', () => {
    outgoing.destroy();
    program.destroy();
  });
  outgoing.once('response', (message) => passOn(message, browser.answer(), forwarding));
  outgoing.once('upgrade', (message, _stream, first) => {
    const lines = Object.entries(responseHeaders(message.headersDistinct)).flatMap(([name, values]) =>
      values.map((value) => `${name}: ${value}\r\n`),
    );
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines.join('')}\r\n`,
      'latin1',
    );
    socket.write(first);
    program.write(head);
    socket.pipe(program);
    program.pipe(socket);
    program.once('close', () => socket.destroy());
  });
  outgoing.end();
}

function open({ incoming, target, program, noAnswer }: Forwarding, headers: Record<string, string[]>) {
  const { method = 'GET' } = incoming;
  try {
    const outgoing = httpRequest({
      createConnection: () => program,
      method,
      path: target,
      headers,
      setHost: false,
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    let hasAnswered = false;
    const answered = (): void => {
      hasAnswered = true;
    };
    outgoing.once('response', answered);
    // Without a listener Node ends a connection whose program switches protocols unasked.
    if (headers['upgrade'] !== undefined) outgoing.once('upgrade', answered);
    outgoing.on('error', () => undefined);
    outgoing.once('close', () => {
      if (!hasAnswered) noAnswer();
      if (!outgoing.writableFinished) incoming.unpipe(outgoing).resume();
    });
    return outgoing;
  } catch {
    // What Node does not write, no program is asked.
    program.destroy();
    noAnswer();
    return undefined;
  }
}

function passOn(message: IncomingMessage, answer: ServerResponse, { program, noAnswer }: Forwarding): void {
  try {
    answer.writeHead(message.statusCode ?? 502, responseHeaders(message.headersDistinct));
    // The first event of a stream may be long in coming; that it has begun is said at once.
    answer.flushHeaders();
  } catch {
    program.destroy();
    noAnswer();
    return;
  }
  // An answer that breaks off is broken off, and never passed as a whole one.
  pipeline(message, answer, (error) => {
    if (error) answer.destroy();
    program.destroy();
  });
}
