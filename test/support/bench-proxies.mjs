// One side of bench/credential-proxy.ts, a process each: `node bench-proxies.mjs ROLE JSON`. Prints a line when it listens.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const [role, json] = process.argv.slice(2);
const options = JSON.parse(json);
const ready = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);
const read = (file) => readFileSync(file, 'utf8');

/** A vendor: small answers, streams of events, and one long body. */
function vendor() {
  const block = Buffer.alloc(64 * 1024, 'x');
  const server = https.createServer(
    { key: read(options.key), cert: read(options.cert) },
    (request, response) => {
      request.resume();
      const url = new URL(request.url, 'https://x');
      const count = Number(url.searchParams.get('count'));
      if (url.pathname === '/big') {
        response.writeHead(200, { 'Content-Length': count * block.length });
        let left = count;
        const go = () => {
          while (left > 0) {
            left -= 1;
            if (!response.write(block)) return response.once('drain', go);
          }
          response.end();
        };
        go();
      } else if (url.pathname === '/events') {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        let left = count;
        const timer = setInterval(() => {
          response.write(`data: {"delta":"${'word '.repeat(20)}"}\n\n`);
          left -= 1;
          if (left > 0) return;
          clearInterval(timer);
          response.end();
        }, 50);
        response.write('data: {"first":true}\n\n');
      } else {
        response.setHeader('Content-Type', 'application/json');
        response.end('{"ok":true}');
      }
    },
  );
  server.listen(0, '127.0.0.1', () => ready({ port: server.address().port }));
}

/** The least that a proxy can do with what Node brings. */
function plain() {
  const agent = new https.Agent({ keepAlive: true, ca: read(options.ca) });
  const server = http.createServer((request, response) => {
    const headers = { ...request.headers, host: `localhost:${options.port}`, 'x-api-key': 'real' };
    const { method, url } = request;
    const outgoing = https.request(
      { agent, host: 'localhost', port: options.port, method, path: url, headers },
      (answer) => {
        response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
        response.flushHeaders();
        answer.pipe(response);
      },
    );
    request.pipe(outgoing);
  });
  server.listen(options.socket, () => ready({}));
}

/** Ours, with stand-ins for the rest of the vault that cost nothing. */
async function ours() {
  const from = (file) => import(`${options.dist}/runtime/${file}`);
  const { CredentialProxy } = await from('vault/proxy/credential-proxy-server.js');
  const { UpstreamClient } = await from('vault/proxy/upstream-client.js');
  const { systemClock } = await from('core/clock.js');
  const { silentLogger } = await from('core/log.js');
  const { Route } = await from('agents/credential-schemas.js');
  const route = Route.parse({
    prefix: 'bench',
    upstream: `https://localhost:${options.port}`,
    auth: { api_key: { header: 'x-api-key' } },
    usage: 'anthropic',
  });
  const live = {
    info: { provider: 'bench', set: 'default', version: 1 },
    credential: { kind: 'api_key', key: options.key },
  };
  const proxy = new CredentialProxy({
    tokens: {
      check: (_task, token) =>
        token === options.token ? { kind: 'valid', provider: 'bench', set: 'default' } : { kind: 'unknown' },
      onRevoked: () => () => undefined,
    },
    budgets: { admit: () => undefined, spend: () => undefined },
    live: { get: async () => live, refused: async () => live },
    audit: { append: () => undefined },
    events: { record: () => undefined },
    clock: systemClock,
    log: silentLogger,
    routes: async () => new Map([['bench', route]]),
    upstreams: new UpstreamClient({ env: {}, extraCa: [read(options.ca)] }),
    onLocked: () => undefined,
  });
  await proxy.serve({ task: 'k3f9a', project: { id: 'bench' }, socketPath: options.socket });
  ready({});
}

await { vendor, plain, ours }[role]();
