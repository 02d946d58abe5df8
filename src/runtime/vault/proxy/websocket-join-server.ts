import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Admitted } from './admission.ts';
import { ConversationBill } from './bill.ts';
import type { ExchangeRecord } from './exchange-record.ts';
import { relayFrames } from './frame-relay-server.ts';
import { type HeaderPair, listOf, valuesOf } from './header-pairs.ts';
import { PROTOCOL_KEY } from './presented-tokens.ts';
import { Refusal } from './refusal.ts';
import { responseHeaders } from './response-headers.ts';
import { maskText } from './secret-mask.ts';
import type { TaskGuard } from './task-guard.ts';
import type { UpstreamHead } from './upstream-answer.ts';

/** The connection behind a request that asks for another protocol, with what came after its head. */
export interface UpgradeSide {
  readonly socket: Socket;
  readonly head: Buffer;
}

export interface WebsocketJoin {
  readonly guard: TaskGuard;
  readonly record: ExchangeRecord;
  readonly admitted: Admitted;
  /** Headers of the client. */
  readonly offered: readonly HeaderPair[];
  readonly response: ServerResponse;
  readonly side: UpgradeSide | undefined;
  readonly head: UpstreamHead;
  readonly upstream: Duplex;
  readonly gone: AbortSignal;
}

/**
 * Tells the task that its upstream agreed, then joins both sides until one of them ends. Throws Refusal while nothing
 * was sent to the task. Says whether a secret was in what came back.
 */
export async function joinWebsocket(join: WebsocketJoin): Promise<{ readonly hasEchoed: boolean }> {
  const { guard, record, admitted, response, side, head, upstream, gone } = join;
  upstream.on('error', () => undefined);
  const isAsked = side !== undefined && valuesOf(head.headers, 'sec-websocket-extensions').length === 0;
  if (!isAsked || gone.aborted) {
    upstream.destroy();
    throw new Refusal(502, 'unreadable_answer', 'The upstream answered in a way that was not asked for.');
  }
  gone.addEventListener('abort', () => upstream.destroy(), { once: true });
  const forms = guard.sent.formsFor(admitted.upstream.origin);
  const told = responseHeaders(head.headers, { canHaveTrailers: false }).map(
    ([name, value]): HeaderPair => [
      name,
      name.toLowerCase() === 'sec-websocket-protocol' ? ownProtocol(value, join.offered) : value,
    ],
  );
  const flat = told.flat();
  const clean = flat.map((text) => maskText(text, forms));
  response.sendDate = false;
  response.writeHead(101, ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...clean]);
  response.flushHeaders();
  response.detachSocket(side.socket);
  record.status = 101;
  if (side.head.length > 0) {
    record.bytesSent += side.head.length;
    upstream.write(side.head);
  }
  const { provider, set } = admitted.live.info;
  const { usage: dialect } = admitted.route;
  const bill = dialect === undefined ? undefined : new ConversationBill(dialect);
  const seen = () => ({ nowMs: guard.deps.clock.now().getTime(), sentBytes: record.bytesSent });
  const frames = await relayFrames({
    client: side.socket,
    upstream,
    record,
    forms,
    onText: (text) => {
      const usage = bill?.heard(text, seen());
      if (usage === undefined) return true;
      record.spend(usage);
      // Each answer makes room for the next request of the same connection, or ends it.
      return guard.deps.budgets.admit(guard.task, { provider, set }) === undefined;
    },
  });
  const rest = bill?.rest(seen());
  if (rest !== undefined) record.spend(rest, { isEstimate: true });
  const hasEchoed = frames.hasEchoed || clean.some((text, at) => text !== flat[at]);
  if (hasEchoed && record.outcome === 'ok') record.outcome = 'secret_redacted';
  return { hasEchoed };
}

/** The client offered its own token for the key in it, and looks for what it offered. */
function ownProtocol(chosen: string, offered: readonly HeaderPair[]): string {
  if (!chosen.startsWith(PROTOCOL_KEY)) return chosen;
  return listOf(offered, 'sec-websocket-protocol').find((one) => one.startsWith(PROTOCOL_KEY)) ?? '';
}
