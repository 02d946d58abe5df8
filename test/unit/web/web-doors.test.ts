import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { CommandRunner } from '../../../src/runtime/core/command.ts';
import { silentLogger } from '../../../src/runtime/core/log.ts';
import { findProcesses } from '../../../src/runtime/core/process-table-loader.ts';
import { FIRST_WEB_PORT, LAST_WEB_PORT } from '../../../src/runtime/web/contract.ts';
import { helperCommand } from '../../../src/runtime/web/namespace-client.ts';
import { HttpWebDoors } from '../../../src/runtime/web/web-doors-server.ts';
import { runner } from '../../support/host.ts';
import { eventually } from '../../support/shipped.ts';
import { WebProgram } from '../../support/web-program.ts';

const ends: AsyncDisposable[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end[Symbol.asyncDispose]();
});

const doors = (used: CommandRunner = runner): HttpWebDoors =>
  new HttpWebDoors({ runner: used, namespacePrefix: async () => [], logger: silentLogger });

async function occupied(host: string): Promise<number> {
  const server: Server = createServer().listen(0, host);
  await once(server, 'listening');
  ends.push({ [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The real helper, on a port of this machine instead of one in another network. */
const toPort = (port: number): CommandRunner => ({
  run: (command, options) => runner.run(command, options),
  detach: (command) => runner.detach(command),
  stream: ({ args }) =>
    runner.stream({ file: 'socat', args: args.slice(3).map((one) => one.replace(':8080', `:${port}`)) }),
});

describe('claiming a port', () => {
  it('gives the one that is preferred, while it is free', async () => {
    const port = await doors().claim({ preferred: undefined, isDemanded: false, taken: [] });
    expect(port).toBeGreaterThanOrEqual(FIRST_WEB_PORT);
    expect(port).toBeLessThanOrEqual(LAST_WEB_PORT);
    expect(await doors().claim({ preferred: port, isDemanded: true, taken: [] })).toBe(port);
    const other = await doors().claim({ preferred: port, isDemanded: false, taken: [port] });
    expect(other).not.toBe(port);
  });

  it.each(['127.0.0.1', '0.0.0.0', '::'])(
    'tries it: one that a program holds on %s is taken',
    async (host) => {
      const port = await occupied(host);
      expect(await doors().claim({ preferred: port, isDemanded: false, taken: [] })).not.toBe(port);
      await expect(doors().claim({ preferred: port, isDemanded: true, taken: [] })).rejects.toMatchObject({
        code: 'CONFLICT',
        message: expect.stringContaining(String(port)),
      });
    },
  );

  it('says when there is none left, and gives the last one', async () => {
    const all = Array.from(
      { length: LAST_WEB_PORT - FIRST_WEB_PORT + 1 },
      (_, index) => FIRST_WEB_PORT + index,
    );
    const claim = (taken: readonly number[]) =>
      doors().claim({ preferred: undefined, isDemanded: false, taken });
    await expect(claim(all)).rejects.toMatchObject({ code: 'CONFLICT' });
    const free = await claim([]);
    expect(await claim(all.filter((port) => port !== free))).toBe(free);
  });
});

describe('a door', () => {
  const open = (used: CommandRunner, port: number) =>
    doors(used).open({
      task: 'k3f9a',
      port,
      tokenHash: createHash('sha256').update('token').digest(),
      networkPath: '/run/netns/k3f9a',
      publicUrl: `http://127.0.0.1:${port}`,
    });
  const headers = { cookie: 'terok_token_k3f9a=token' };
  const claim = () => doors().claim({ preferred: undefined, isDemanded: false, taken: [] });

  it('to a port that somebody took meanwhile is a conflict', async () => {
    await expect(open(runner, await occupied('127.0.0.1'))).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('reaches the program by a helper in its network, which ends with the connection', async () => {
    expect(helperCommand(['nsenter', '--target=7', '--user'], '/run/netns/k3f9a')).toEqual({
      file: 'nsenter',
      args: [
        '--target=7',
        '--user',
        'nsenter',
        '--net=/run/netns/k3f9a',
        '--',
        'socat',
        '-',
        'TCP4:127.0.0.1:8080,nodelay',
      ],
    });
    let finish = (): void => undefined;
    const program = await WebProgram.start(({ url }, response) => {
      if (url === '/whole') response.end('x'.repeat(3_000_000));
      else {
        response.write('begun');
        finish = () => void response.end();
      }
    });
    ends.push(program);
    const port = await claim();
    await using door = await open(toPort(program.port), port);
    const address = `http://127.0.0.1:${port}`;
    const helpers = async () =>
      (await findProcesses((argv) => argv.includes(`TCP4:127.0.0.1:${program.port},nodelay`))).length;
    expect((await (await fetch(`${address}/whole`, { headers })).text()).length).toBe(3_000_000);
    expect(await eventually(helpers, (count) => count === 0)).toBe(0);

    const left = new AbortController();
    await fetch(address, { headers, signal: left.signal });
    expect(await helpers()).toBe(1);
    left.abort();
    expect(await eventually(helpers, (count) => count === 0)).toBe(0);

    const cutOff = (await fetch(address, { headers })).text();
    const rejected = expect(cutOff).rejects.toThrow();
    await door.close();
    await rejected;
    expect(await helpers()).toBe(0);
    finish();
  });

  it('whose helper cannot be started answers, and stays open', async () => {
    const broken: CommandRunner = {
      ...toPort(1),
      stream: () => runner.stream({ file: '/nonexistent', args: [] }),
    };
    const port = await claim();
    await using _door = await open(broken, port);
    for (let tries = 0; tries < 3; tries += 1)
      expect((await fetch(`http://127.0.0.1:${port}`, { headers })).status).toBe(502);
  });
});
