import { spawn } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseCgiHead } from '../../src/runtime/gate/cgi-response.ts';
import { type GateFixture, gateFixture } from '../support/gate-fixture.ts';

const SECRET = 's3cret-of-upstream';

/** Arguments and environment of every process that runs now and can be read. */
async function processTexts(): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name));
  const texts = pids.map(async (pid) => {
    const parts = ['cmdline', 'environ'].map((name) =>
      readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => ''),
    );
    return (await Promise.all(parts)).join('\0');
  });
  return await Promise.all(texts);
}

describe('an upstream that wants a password', () => {
  let fixture: GateFixture;
  let server: Server;
  let host: string;
  let admitted: number;
  const seen: string[] = [];

  beforeEach(async () => {
    fixture = await gateFixture();
    admitted = 0;
    seen.length = 0;
    await fixture.upstream.bare.ok('config', 'http.receivepack', 'true');
    const expected = `Basic ${Buffer.from(`ann:${SECRET}`).toString('base64')}`;
    server = createServer((request, response) => {
      void (async () => {
        seen.push(
          ...(await processTexts()).filter((text) => text.startsWith('git') || text.includes('/git')),
        );
        if (request.headers.authorization !== expected) {
          request.resume();
          response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end('no');
          return;
        }
        admitted++;
        const url = new URL(request.url ?? '', 'http://x');
        const backend = spawn('git', ['http-backend'], {
          env: {
            PATH: process.env['PATH'],
            GIT_PROJECT_ROOT: fixture.ground.directory,
            GIT_HTTP_EXPORT_ALL: '1',
            PATH_INFO: url.pathname,
            QUERY_STRING: url.search.slice(1),
            REQUEST_METHOD: request.method,
            CONTENT_TYPE: request.headers['content-type'],
            HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
            REMOTE_USER: 'ann',
          },
          stdio: ['pipe', 'pipe', 'ignore'],
        });
        request.pipe(backend.stdin);
        const chunks: Buffer[] = [];
        for await (const chunk of backend.stdout) chunks.push(Buffer.from(chunk));
        const parsed = parseCgiHead(Buffer.concat(chunks));
        if (typeof parsed === 'string') throw new Error(parsed);
        response.writeHead(parsed.head.status, parsed.head.headers).end(parsed.body);
      })().catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    host = `127.0.0.1:${address.port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await fixture[Symbol.asyncDispose]();
  });

  const withUser = (userinfo: string) =>
    fixture.projectWith({ upstream_url: `http://${userinfo}${host}/upstream.git` });
  const credentials = () => path.join(path.dirname(fixture.gate.path(fixture.project)), 'demo.credentials');

  it('gets it, and no argument, environment, mirror or message has it', async () => {
    const project = withUser(`ann:${SECRET}@`);
    expect(await fixture.gate.sync(project)).toMatchObject({ stale: undefined, defaultBranch: 'main' });
    await fixture.gate.openTask(project, 'k3f9a');
    const { mirror } = fixture;
    const head = await mirror.ok('commit-tree', '-m', 'x', '-p', 'refs/heads/main', 'refs/heads/main^{tree}');
    await mirror.ok('update-ref', 'refs/namespaces/k3f9a/refs/heads/fix', head);
    await fixture.gate.publish(project, 'k3f9a');
    await fixture.gate.promote({ project, branch: 'k3f9a/fix', head, target: 'main' });
    expect(await fixture.upstream.bare.head('main')).toBe(head);
    expect(admitted).toBeGreaterThan(3);
    expect(seen.filter((text) => text.includes(host)).length).toBeGreaterThan(0);
    expect(seen.filter((text) => text.includes(SECRET))).toEqual([]);
    expect(await readFile(path.join(fixture.gate.path(project), 'terok-upstream'), 'utf8')).toBe(
      `http://${host}/upstream.git\n`,
    );
    expect(await mirror.run(['config', '--list'])).toMatchObject({
      stdout: expect.not.stringContaining(SECRET),
    });
    expect(await readFile(credentials(), 'utf8')).toBe(`http://ann:${SECRET}@${host.replace(':', '%3a')}\n`);
    expect((await stat(credentials())).mode & 0o777).toBe(0o600);
  });

  it('is not told one that it refused in any message; the file goes with the URL', async () => {
    await fixture.gate.sync(withUser(`ann:${SECRET}@`));
    const refused = await fixture.gate.sync(withUser('ann:wr0ng-one@'));
    expect(refused.stale).toContain('cannot be read');
    expect(refused.stale).not.toContain('wr0ng-one');
    // git takes a refused one out of the file; the next call puts the right one in.
    expect(await fixture.gate.sync(withUser(`ann:${SECRET}@`))).toMatchObject({ stale: undefined });
    expect((await fixture.gate.sync(withUser(''))).stale).toContain('cannot be read');
    await expect(stat(credentials())).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
