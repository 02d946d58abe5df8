import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { type Json, listOf, recordOf, textOf } from './json.ts';

/** Answers one request with the events of its stream. */
export type Answerer = (message: IncomingMessage, body: Json) => Promise<readonly Json[]>;

/**
 * OpenAI's Responses API over a websocket: each `response.create` is a request, whose events come as one message each.
 * A request may name an earlier response of the same connection and send only what is new.
 */
export class ResponsesSocket {
  readonly #server = new WebSocketServer({ noServer: true });
  readonly #answer: Answerer;

  constructor(answer: Answerer) {
    this.#answer = answer;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (client) => {
      const earlier = new Map<string, readonly unknown[]>();
      let last = Promise.resolve();
      client.on('message', (data) => {
        const asked = recordOf(JSON.parse(String(data)));
        last = last.then(async () => {
          for (const event of await this.#events(request, asked, earlier)) client.send(JSON.stringify(event));
        });
        last.catch(() => client.close(1011));
      });
    });
  }

  close(): void {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }

  async #events(
    request: IncomingMessage,
    asked: Json,
    earlier: Map<string, readonly unknown[]>,
  ): Promise<readonly Json[]> {
    const before = earlier.get(textOf(asked['previous_response_id']) ?? '') ?? [];
    const input = [...before, ...listOf(asked['input'])];
    const events =
      asked['generate'] === false ? [...nothing()] : await this.#answer(request, { ...asked, input });
    const whole = recordOf(recordOf(events.at(-1))['response']);
    earlier.set(textOf(whole['id']) ?? '', [...input, ...listOf(whole['output'])]);
    return events;
  }
}

/** What makes a connection ready for the request that follows. */
function* nothing(): Generator<Json> {
  const response = { id: `resp_warm${Date.now()}`, object: 'response', output: [], error: null };
  yield { type: 'response.created', response: { ...response, status: 'in_progress' } };
  yield { type: 'response.completed', response: { ...response, status: 'completed', usage: null } };
}
