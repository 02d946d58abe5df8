import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { FrameTransport } from '../../../src/server/mcp/frame-transport.ts';

const REQUESTS = 500;

it('takes nothing more from a client that does not read its answers, and goes on once it does', async () => {
  const input = new PassThrough({ highWaterMark: 1024 });
  const output = new PassThrough({ highWaterMark: 1024 });
  const transport = new FrameTransport({ streams: { input, output } });
  let handled = 0;
  transport.onmessage = (message) => {
    handled += 1;
    const id = 'id' in message && message.id !== undefined ? message.id : 0;
    transport.send({ jsonrpc: '2.0', id, result: { text: 'x'.repeat(10_000) } }).catch(() => undefined);
  };
  await transport.start();
  const writing = (async () => {
    for (let id = 1; id <= REQUESTS; id += 1) {
      const isTaken = input.write(`${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list' })}\n`);
      if (!isTaken) await new Promise((resolve) => input.once('drain', resolve));
    }
  })();
  for (let turns = 0; turns < 200; turns += 1) await turn();
  expect(handled).toBeGreaterThan(0);
  expect(handled).toBeLessThan(REQUESTS / 5);
  output.resume();
  await writing;
  for (let turns = 0; handled < REQUESTS && turns < 10_000; turns += 1) await turn();
  expect(handled).toBe(REQUESTS);
  await transport.close();
});
