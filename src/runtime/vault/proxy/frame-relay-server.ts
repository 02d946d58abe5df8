import type { Duplex } from 'node:stream';
import type { ExchangeRecord } from './exchange-record.ts';
import { FrameStream } from './frame-stream.ts';

export interface FrameRelay {
  readonly client: Duplex;
  readonly upstream: Duplex;
  readonly record: ExchangeRecord;
  readonly forms: readonly Buffer[];
  /** Each whole text of the upstream, before its last bytes go on. Says whether the connection may go on. */
  readonly onText: (text: string) => boolean;
}

/** Joins the two sides of a websocket until one of them ends. Says whether a secret was in it. */
export async function relayFrames(relay: FrameRelay): Promise<{ readonly hasEchoed: boolean }> {
  const { client, upstream, record } = relay;
  let mayGoOn = true;
  const frames = new FrameStream({
    forms: relay.forms,
    onText: (text) => {
      mayGoOn = relay.onText(text) && mayGoOn;
    },
  });
  const over = Promise.all([closed(client, upstream), closed(upstream, client)]);
  client.on('data', (chunk: Buffer) => {
    record.bytesSent += chunk.length;
    if (!upstream.write(chunk)) client.pause();
  });
  upstream.on('drain', () => client.resume());
  client.on('drain', () => upstream.resume());
  client.once('end', () => upstream.end());
  upstream.once('end', () => client.end());
  upstream.on('data', (chunk: Buffer) => {
    record.bytesReceived += chunk.length;
    try {
      if (!client.write(frames.push(chunk))) upstream.pause();
    } catch {
      record.outcome = 'bad_frame';
      client.destroy();
      return;
    }
    if (!mayGoOn) {
      record.outcome = 'budget';
      client.end(() => client.destroy());
    }
  });
  client.resume();
  upstream.resume();
  await over;
  return { hasEchoed: frames.found > 0 };
}

/** One side that is gone takes the other with it. */
function closed(side: Duplex, other: Duplex): Promise<void> {
  return new Promise((resolve) => {
    side.on('error', () => undefined);
    const done = (): void => {
      // What it was sent already still reaches it.
      if (other.writableLength === 0) other.destroy();
      else other.end(() => other.destroy());
      resolve();
    };
    if (side.destroyed) done();
    else side.once('close', done);
  });
}
