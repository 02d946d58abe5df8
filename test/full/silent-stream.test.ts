import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { testCa } from '../support/test-ca.ts';
import { ProxyLab, upstream } from '../support/vault-proxy-lab.ts';

const SILENCE_MS = 20 * 60_000;

it('a stream, an answer without a head and a websocket live through twenty silent minutes (V5)', async () => {
  const ca = await testCa();
  const vendor = await upstream(ca);
  await using lab = await ProxyLab.open({ ca });
  const route = {
    prefix: 'codex',
    upstream: vendor.url,
    auth: { api_key: { header: 'x-api-key' } },
    websocket: true,
  };
  const headers = { 'x-api-key': lab.provide('codex', route) };
  vendor.handle = (incoming, response) => {
    if (incoming.url === '/stream') response.write('start');
    setTimeout(() => response.end('end'), SILENCE_MS);
  };
  const server = new WebSocketServer({ server: vendor.server });
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));

  const answers = ['/stream', '/late'].map(async (path) => {
    const outgoing = request({ socketPath: lab.socketPath, path, headers });
    outgoing.end();
    const [response] = await once(outgoing, 'response');
    let body = '';
    for await (const chunk of response) body += String(chunk);
    return body;
  });
  const socket = new WebSocket(`ws+unix://${lab.socketPath}:/v1/responses`, { headers });
  await once(socket, 'open');
  await delay(SILENCE_MS);
  socket.send('still here');
  const [echo] = await once(socket, 'message');
  expect(String(echo)).toBe('still here');
  expect(await Promise.all(answers)).toEqual(['startend', 'end']);
  socket.terminate();
  server.close();
  await vendor.close();
}, 1_500_000);
