import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { findProcesses } from '../../src/runtime/core/process-table-loader.ts';
import type { StartedTask } from '../../src/runtime/tasks/contract.ts';
import { addEntries } from '../support/own-entries.ts';
import { Terok } from '../support/runtime-host.ts';
import { eventually } from '../support/shipped.ts';

const PUBLIC_URL = 'https://tasks.example.org/one/';

let terok: Terok;
let task: StartedTask;
beforeAll(async () => {
  terok = await Terok.make();
  await addEntries(terok.host, 'stand-in');
  await setProgram('stand-in');
  task = await start({ publicUrl: PUBLIC_URL });
}, 600_000);
afterAll(() => terok[Symbol.asyncDispose]());

async function start(
  web: { readonly port?: number; readonly publicUrl?: string } = {},
): Promise<StartedTask> {
  const started = await terok.runtime.tasks.create({ project: 'demo', mode: 'web', web });
  expect(await terok.ready(started.id)).toMatchObject({ state: 'running' });
  return started;
}

async function setProgram(name: string, docker?: { readonly agents: readonly string[] }): Promise<void> {
  const git = { upstream_url: terok.upstream.url };
  await writeFile(
    path.join(terok.host.paths.projects, 'demo/project.yml'),
    stringify({ git, web: { program: name }, ...(docker === undefined ? {} : { docker }) }),
  );
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

async function ask(port: number, target: string, headers: Record<string, string> = {}): Promise<Answer> {
  const asked = request({ host: '127.0.0.1', port, path: target, headers, agent: false }).end();
  const [answer] = await once(asked, 'response');
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode, headers: answer.headers, text };
}

const portOf = ({ webPort }: StartedTask): number => webPort ?? 0;
const tokenOf = ({ webUrl }: StartedTask): string => new URL(webUrl ?? '').searchParams.get('token') ?? '';
const nearlyTokenOf = (started: StartedTask): string =>
  tokenOf(started).replace(/.$/, (last) => (last === '0' ? '1' : '0'));

async function cookieOf(started: StartedTask): Promise<string> {
  const { headers } = await ask(portOf(started), `/?token=${tokenOf(started)}`);
  return String(headers['set-cookie']).split(';')[0] ?? '';
}

/** The program listens a moment after the workspace is ready. */
const answered = (port: number, target: string, headers: Record<string, string>): Promise<Answer> =>
  eventually(
    () => ask(port, target, headers),
    ({ status }) => status !== 502,
  );

describe('a web task', () => {
  it('lets in by token alone, once, and by cookie from then on; the program sees neither', async () => {
    const port = portOf(task);
    expect(task.webUrl).toMatch(/^https:\/\/tasks\.example\.org\/one\/\?token=/);
    expect((await ask(port, '/')).status).toBe(401);
    expect((await ask(port, `/?token=${nearlyTokenOf(task)}`)).status).toBe(401);
    const entered = await ask(port, `/page?token=${tokenOf(task)}`);
    expect(entered.status).toBe(303);
    expect(String(entered.headers['set-cookie'])).toMatch(/; HttpOnly; SameSite=Strict; Secure$/);
    const inside = await answered(port, `/page?token=${tokenOf(task)}x`, { cookie: await cookieOf(task) });
    expect(inside.status).toBe(200);
    expect(inside.text).not.toContain('terok_token');
    const log = await terok.output(task.id);
    expect(log).not.toContain(tokenOf(task));
  });

  it('tells its program the address that people see', async () => {
    const { text } = await answered(portOf(task), '/', {
      cookie: await cookieOf(task),
      host: 'tasks.example.org',
    });
    expect(text).toContain(`link: ${PUBLIC_URL}page`);
    expect(text).toContain('host: tasks.example.org');
  });

  it('has WebSockets', async () => {
    const port = portOf(task);
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${await cookieOf(task)}\r\nOrigin: http://127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    expect(String((await once(socket, 'data'))[0])).toMatch(
      /^HTTP\/1\.1 101 [\s\S]*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i,
    );
    const message = Buffer.from([0x82, 0x83, 1, 2, 3, 4, 0, 255, 128]);
    socket.write(message);
    expect((await once(socket, 'data'))[0]).toEqual(message);
    expect(await helpers()).toBe(1);
    socket.destroy();
    expect(await eventually(helpers, (count) => count === 0)).toBe(0);
  });

  it('is reached by that one port of loopback, and by nothing else', async () => {
    const port = portOf(task);
    const others = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ address }) => address !== '127.0.0.1' && !address.startsWith('fe80'))
      .map(({ address }) => address);
    for (const host of ['127.0.0.2', ...others]) {
      await expect(reach(host, port), host).rejects.toThrow();
      await expect(reach(host, 8080), host).rejects.toThrow();
      await expect(reach(host, 9090), host).rejects.toThrow();
    }
    await expect(reach('127.0.0.1', 9090)).rejects.toThrow();
    // It does listen there, inside: what keeps people out is that there is no way.
    expect((await terok.exec(task, 'exec 3<>/dev/tcp/127.0.0.1/9090; cat <&3')).stdout).toBe('other port\n');
  });

  it('does not reach the host by its own door', async () => {
    const { stderr } = await terok.exec(task, `exec 3<>/dev/tcp/127.0.0.1/${portOf(task)}`);
    expect(stderr).toContain('Connection refused');
  });

  it('closes with the runtime, and opens with the next for the same cookie', async () => {
    const cookie = await cookieOf(task);
    await terok.runtime[Symbol.asyncDispose]();
    await expect(ask(portOf(task), '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await terok.restart();
    await terok.runtime.ready;
    expect((await answered(portOf(task), '/', { cookie })).status).toBe(200);
  });

  it('has another token on demand, and the old one ends', async () => {
    const old = await cookieOf(task);
    const url = new URL(await terok.runtime.tasks.webUrl(task.id));
    expect((await ask(portOf(task), '/', { cookie: old })).status).toBe(401);
    expect((await ask(portOf(task), `/?token=${url.searchParams.get('token')}`)).status).toBe(303);
  });

  it('is closed when it is stopped, and goes on with its files and its port when it is restarted', async () => {
    const running = await start();
    const cookie = await cookieOf(running);
    expect((await answered(portOf(running), '/count', { cookie })).text.trim()).toBe('1');
    await terok.runtime.tasks.stop(running.id);
    await expect(ask(portOf(running), '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(terok.runtime.tasks.webUrl(running.id)).rejects.toMatchObject({ code: 'CONFLICT' });
    const again = await terok.runtime.tasks.restart(running.id);
    await terok.ready(again.id);
    expect(again.webPort).toBe(running.webPort);
    expect((await ask(portOf(again), '/', { cookie })).status).toBe(401);
    expect((await answered(portOf(again), '/count', { cookie: await cookieOf(again) })).text.trim()).toBe(
      '2',
    );
    await terok.runtime.tasks.delete(running.id);
    await expect(ask(portOf(running), '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('takes the port that is demanded, or says that it is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const demand = { project: 'demo', mode: 'web', web: { port } } as const;
    await expect(terok.runtime.tasks.create(demand)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(String(port)),
    });
    await expect(
      terok.runtime.tasks.create({ ...demand, web: { port: portOf(task) } }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    await new Promise((resolve) => other.close(resolve));
    const started = await start({ port });
    expect(started.webPort).toBe(port);
    expect(started.webUrl).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${port}/\\?token=`));
    await terok.runtime.tasks.delete(started.id);
  });

  it('says why a program is not in the image: nobody asked for it, or it cannot be had here', async () => {
    await setProgram('toad');
    const toad = { project: 'demo', mode: 'web' } as const;
    await expect(terok.runtime.tasks.create(toad)).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringContaining('"toad" is not among those'),
      hint: expect.stringContaining('docker.agents'),
    });
    await setProgram('toad', { agents: ['scripted', 'toad'] });
    await expect(terok.runtime.tasks.create(toad)).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringMatching(/"toad" is not in the image: .*(?:python|pip|batrachian)/i),
    });
  }, 600_000);
});

async function reach(host: string, port: number): Promise<void> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

const helpers = async (): Promise<number> =>
  (await findProcesses((argv) => argv[0] === 'socat' && argv[2]?.startsWith('TCP4:127.0.0.1:8080') === true))
    .length;
