import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/runtime/core/log.ts';
import { SocketRelay } from '../../../src/runtime/relay/relay-server.ts';

describe('the relay', () => {
  let directory: string;
  let socketPath: string;
  let endpoint: Server;
  let onConnection: (socket: Socket) => void;
  let url: string;
  const relay = new SocketRelay({ log: silentLogger });

  beforeEach(async () => {
    directory = await mkdtemp('/tmp/tr-');
    socketPath = path.join(directory, 'relay.sock');
    onConnection = (socket) => void socket.pipe(socket);
    endpoint = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    endpoint.listen(0, '127.0.0.1');
    await once(endpoint, 'listening');
    const address = endpoint.address();
    url = `tcp://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  });
  afterEach(async () => {
    endpoint.close();
    await rm(directory, { recursive: true, force: true });
  });

  function dial(): Socket {
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    socket.on('error', () => undefined);
    return socket;
  }

  /** Up to the end of what comes; the other direction stays open. */
  async function readAll(socket: Socket): Promise<Buffer> {
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    await once(socket, 'end');
    return Buffer.concat(pieces);
  }

  /** A client that hangs up when the other side does, as most do. */
  function dialPlainly(): Socket {
    const socket = connect(socketPath);
    socket.on('error', () => undefined);
    socket.resume();
    return socket;
  }

  it("carries bytes both ways, and the end of one direction without the other's", async () => {
    await using _service = await relay.serve({ socketPath, endpoint: url });
    // Answers only once it has heard everything.
    onConnection = (socket) => {
      let length = 0;
      socket.on('data', (piece) => {
        length += piece.length;
      });
      socket.on('end', () => socket.end(`heard ${length}`));
    };
    const client = dial();
    client.end(randomBytes(3_000_000));
    expect((await readAll(client)).toString()).toBe('heard 3000000');
  });

  it('an endpoint that ends first still hears the rest', async () => {
    await using _service = await relay.serve({ socketPath, endpoint: url });
    const heard = new Promise<string>((resolve) => {
      onConnection = (socket) => {
        socket.end('bye');
        void readAll(socket).then((bytes) => resolve(bytes.toString()));
      };
    });
    const client = dial();
    expect((await readAll(client)).toString()).toBe('bye');
    client.end('one more thing');
    expect(await heard).toBe('one more thing');
  });

  it('keeps the pace of the slower side', async () => {
    await using _service = await relay.serve({ socketPath, endpoint: url });
    onConnection = (socket) => void socket.pause();
    const client = dial();
    await once(client, 'connect');
    client.write(Buffer.alloc(64 * 1024 * 1024));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(client.writableLength).toBeGreaterThan(0);
    client.destroy();
  });

  it('an endpoint that is not there closes the connection; the next one works once it is', async () => {
    const missing = path.join(directory, 'missing.sock');
    await using _service = await relay.serve({ socketPath, endpoint: `unix://${missing}` });
    await once(dialPlainly(), 'close');
    const late = createServer((socket) => socket.end('here'));
    late.listen(missing);
    await once(late, 'listening');
    expect((await readAll(dial())).toString()).toBe('here');
    late.close();
  });

  it("a broken endpoint connection breaks the client's, and the other way round", async () => {
    await using _service = await relay.serve({ socketPath, endpoint: url });
    onConnection = (socket) => void socket.once('data', () => socket.resetAndDestroy());
    const client = dialPlainly();
    client.write('x');
    await once(client, 'close');

    const closed = new Promise<void>((resolve) => {
      onConnection = (socket) => {
        socket.resume();
        // A vanished client shows when something is sent to it.
        const streaming = setInterval(() => socket.write('more'), 10);
        socket.once('close', () => {
          clearInterval(streaming);
          resolve();
        });
      };
    });
    const second = dialPlainly();
    second.write('x');
    await once(second, 'data');
    second.destroy();
    await closed;
  });

  it('closing ends every connection and removes the socket; a stale socket is replaced, anything else is not', async () => {
    const first = await relay.serve({ socketPath, endpoint: url });
    expect((await stat(socketPath)).mode & 0o777).toBe(0o666);
    const client = dialPlainly();
    await once(client, 'connect');
    const gone = once(client, 'close');
    await first.close();
    await first.close();
    await gone;
    expect(await readdir(directory)).toEqual([]);

    const stale = createServer();
    stale.listen(socketPath);
    await once(stale, 'listening');
    await using second = await relay.serve({ socketPath, endpoint: url });
    const echo = dial();
    echo.end('hello');
    expect((await readAll(echo)).toString()).toBe('hello');
    await second.close();
    stale.close();

    await writeFile(socketPath, 'a file');
    await expect(relay.serve({ socketPath, endpoint: url })).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
    });
  });

  it('refuses what is no endpoint', async () => {
    for (const endpointText of ['http://x', 'tcp://x', 'tcp://x:0', 'tcp://x:70000', 'unix://relative', '']) {
      await expect(relay.serve({ socketPath, endpoint: endpointText })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
    }
  });
});
