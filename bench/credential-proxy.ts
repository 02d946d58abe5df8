import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import path from 'node:path';
import { execa, type ResultPromise } from 'execa';
import type { Figure } from '../test/support/figure.ts';
import { testCa } from '../test/support/test-ca.ts';

const SMALL_REQUESTS = 1500;
const FIRST_BYTES = 60;
const BIG_BLOCKS = 16 * 1024;
const STREAMS = 200;
const EVENTS = 40;
const ROUNDS = 3;
const NGINX = '/usr/sbin/nginx';

interface Side {
  readonly name: string;
  readonly socket: string;
  readonly pid: number;
}

/**
 * The credential proxy against a pass-through of node:http and against nginx: each a process of its own on a unix socket,
 * all to one upstream over TLS, asked in turns.
 */
export async function run(): Promise<readonly Figure[]> {
  await ensureNginx();
  const directory = await mkdtemp('/tmp/tbp-');
  const processes: ResultPromise[] = [];
  const file = (name: string): string => path.join(directory, name);
  try {
    const authority = await testCa();
    for (const [name, text] of Object.entries(authority)) await writeFile(file(`${name}.pem`), text);
    const start = async (
      role: string,
      options: object,
    ): Promise<{ readonly pid: number; readonly fact: unknown }> => {
      const program = path.resolve('test/support/bench-proxies.mjs');
      const child = execa(process.execPath, [program, role, JSON.stringify(options)], {
        stderr: 'inherit',
        buffer: false,
      });
      child.catch(() => undefined);
      processes.push(child);
      const fact = await new Promise<unknown>((resolve, reject) => {
        child.stdout?.once('data', (line: Buffer) => resolve(JSON.parse(line.toString())));
        child.once('exit', () => reject(new Error(`${role} did not start`)));
      });
      return { pid: child.pid ?? 0, fact };
    };
    const vendor = await start('vendor', { key: file('key.pem'), cert: file('cert.pem') });
    const port = portOf(vendor.fact);
    const token = `sk-terokp${randomBytes(32).toString('hex')}`;
    const side = async (name: string): Promise<Side> => {
      const socket = file(`${name}.sock`);
      const key = `sk-real-${randomBytes(48).toString('hex')}`;
      const { pid } = await start(name, {
        port,
        socket,
        token,
        key,
        ca: file('ca.pem'),
        dist: path.resolve('dist'),
      });
      return { name, socket, pid };
    };
    const ours = await side('ours');
    const plain = await side('plain');
    const nginx = await startNginx(directory, port, processes);
    const sides = [ours, plain, nginx];

    const measures = await measured(sides, token);
    const figure = (what: string, unit: string, baseline: Side): Figure => {
      const of = (one: Side): number => median(measures.get(`${what} ${one.name}`) ?? []);
      const names = new Map([
        [plain, 'node:http'],
        [nginx, 'nginx'],
      ]);
      return {
        name: `${what} through the credential proxy / ${names.get(baseline) ?? ''}`,
        ours: of(ours),
        baseline: of(baseline),
        ratio: of(ours) / of(baseline),
        unit,
      };
    };
    return [
      ['small request p50', 'µs'],
      ['small request p99', 'µs'],
      ['first event', 'µs'],
      ['1 GB body', 'ms'],
      ['200 streams', 'ms'],
      ['growth by 200 streams and 1 GB', 'MiB'],
    ].flatMap(([what = '', unit = '']) => [figure(what, unit, plain), figure(what, unit, nginx)]);
  } finally {
    for (const child of processes) child.kill('SIGTERM');
    await Promise.allSettled(processes);
    await rm(directory, { recursive: true, force: true });
  }
}

async function measured(sides: readonly Side[], token: string): Promise<Map<string, number[]>> {
  const all = new Map<string, number[]>();
  const add = (name: string, value: number): void => void all.set(name, [...(all.get(name) ?? []), value]);
  const before = new Map<string, number>();
  // The first round warms compilers and pools.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const side of sides) {
      const agent = new Agent({ keepAlive: true, maxSockets: STREAMS });
      const ask = (target: string): Promise<IncomingMessage> => begin(side, agent, token, target);
      const small: number[] = [];
      for (let index = 0; index < SMALL_REQUESTS; index++)
        small.push(await timed(async () => await whole(await ask('/small'))));
      small.sort((a, b) => a - b);
      const first: number[] = [];
      for (let index = 0; index < FIRST_BYTES; index++) {
        const started = performance.now();
        const response = await ask('/events?count=1');
        await new Promise((resolve) => response.once('data', resolve));
        first.push(performance.now() - started);
        await whole(response);
        if (round === 0 && index > 20) break;
      }
      if (round === 0) before.set(side.name, await residentMib(side.pid));
      const big =
        round === 0 ? 0 : await timed(async () => await whole(await ask(`/big?count=${BIG_BLOCKS}`)));
      const streams = await timed(async () => {
        await Promise.all(
          Array.from({ length: STREAMS }, async () => await whole(await ask(`/events?count=${EVENTS}`))),
        );
      });
      agent.destroy();
      if (round === 0) continue;
      add(`small request p50 ${side.name}`, 1000 * (small[Math.floor(small.length / 2)] ?? 0));
      add(`small request p99 ${side.name}`, 1000 * (small[Math.floor(small.length * 0.99)] ?? 0));
      add(`first event ${side.name}`, 1000 * median(first));
      add(`1 GB body ${side.name}`, big);
      add(`200 streams ${side.name}`, streams);
      const grown = (await residentMib(side.pid)) - (before.get(side.name) ?? 0);
      add(`growth by 200 streams and 1 GB ${side.name}`, Math.max(1, grown));
    }
  }
  return all;
}

function begin(side: Side, agent: Agent, token: string, target: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath: side.socket, agent, path: target, headers: { 'x-api-key': token } },
      resolve,
    );
    outgoing.on('error', reject).end();
  });
}

async function whole(response: IncomingMessage): Promise<void> {
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode ?? 0}`);
  if (response.readableEnded) return;
  await new Promise<void>((resolve, reject) => {
    response
      .on('data', () => undefined)
      .once('end', resolve)
      .once('error', reject);
  });
}

async function timed(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function portOf(fact: unknown): number {
  if (typeof fact === 'object' && fact !== null && 'port' in fact) return Number(fact.port);
  throw new Error('no port');
}

async function ensureNginx(): Promise<void> {
  if (existsSync(NGINX)) return;
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await execa('apt-get', ['-qq', 'update'], { env });
  await execa('apt-get', ['install', '-qq', '-y', '--no-install-recommends', 'nginx-light'], { env });
}

/** In the foreground, one process, with nothing of the host's configuration. */
async function startNginx(directory: string, port: number, processes: ResultPromise[]): Promise<Side> {
  const file = (name: string): string => path.join(directory, name);
  const socket = file('nginx.sock');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const configuration = `
daemon off;
master_process off;
pid ${file('nginx.pid')};
error_log stderr;
events { worker_connections 2048; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${file(name)};`).join('\n  ')}
  upstream vendor { server 127.0.0.1:${port}; keepalive 256; }
  server {
    listen unix:${socket};
    location / {
      proxy_pass https://vendor;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${file('ca.pem')};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 20m;
      proxy_set_header Connection "";
      proxy_set_header Host localhost;
      proxy_set_header x-api-key real;
    }
  }
}
`;
  await writeFile(file('nginx.conf'), configuration);
  const child = execa(NGINX, ['-c', file('nginx.conf'), '-e', 'stderr'], { stdin: 'ignore' });
  child.catch(() => undefined);
  processes.push(child);
  for (let attempt = 0; attempt < 100 && !existsSync(socket); attempt++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  if (!existsSync(socket)) throw new Error('nginx did not start');
  return { name: 'nginx', socket, pid: child.pid ?? 0 };
}
