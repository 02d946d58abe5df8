import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GateFixture, gateFixture, type TaskAccess } from '../support/gate-fixture.ts';

const basic = (user: string, password = ''): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

describe('a task talks to the gate with a plain git client', () => {
  let fixture: GateFixture;
  let access: TaskAccess;
  let other: TaskAccess;

  beforeAll(async () => {
    fixture = await gateFixture();
    access = await fixture.openTask('k3f9a');
    other = await fixture.openTask('m4g8b');
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  const get = (url: string, init: RequestInit & { readonly authorization?: string } = {}) => {
    const { authorization = basic(access.token), ...rest } = init;
    return fetch(`http://127.0.0.1:${access.port}${url}`, {
      ...rest,
      headers: { ...rest.headers, ...(authorization === '' ? {} : { authorization }) },
    });
  };

  it('clones, fetches and pushes with its own token, and people see the branch (G1)', async () => {
    const work = await access.clone();
    expect(await work.ok('symbolic-ref', '--short', 'HEAD')).toBe('main');
    expect(await work.ok('branch', '--remotes', '--format=%(refname:lstrip=2)')).toBe(
      'origin/HEAD\norigin/main\norigin/release/1.x',
    );
    expect(await work.ok('tag')).toBe('v1.0');
    await work.ok('checkout', '-b', 'fix/x');
    const head = await work.commit('fix.txt', 'fixed\n', 'Fix it');
    await work.ok('push', '--quiet', '-u', 'origin', 'HEAD');
    await work.ok('fetch', '--quiet');

    const branches = await fixture.gate.branches(fixture.project);
    expect(branches).toEqual([
      { branch: 'k3f9a/fix/x', task: 'k3f9a', head, subject: 'Fix it', ahead: 1, behind: 0 },
    ]);
    expect(fixture.pushes).toContainEqual({
      project: 'demo',
      task: 'k3f9a',
      updates: [{ branch: 'k3f9a/fix/x', before: undefined, after: head }],
      updateCount: 1,
      unpublished: 0,
    });
  });

  it.each(['0', '1', '2'])('serves protocol version %s', async (version) => {
    const directory = path.join(fixture.ground.directory, `v${version}`);
    await fixture.ground.git.ok(
      '-c',
      `protocol.version=${version}`,
      'clone',
      '--quiet',
      access.url,
      directory,
    );
    expect(await fixture.ground.git.in(directory).ok('symbolic-ref', '--short', 'HEAD')).toBe('main');
    expect(await fixture.ground.git.in(directory).ok('fsck')).toBe('');
  });

  it('makes shallow clones', async () => {
    const directory = path.join(fixture.ground.directory, 'shallow');
    await fixture.ground.git.ok('clone', '--quiet', '--depth=1', access.url, directory);
    expect(await fixture.ground.git.in(directory).ok('rev-list', '--count', 'HEAD')).toBe('1');
  });

  it('asks for a token, and refuses wrong ones and those of other tasks (G2)', async () => {
    const url = '/demo.git/info/refs?service=git-upload-pack';
    const none = await get(url, { authorization: '' });
    expect(none.status).toBe(401);
    expect(none.headers.get('www-authenticate')).toMatch(/^Basic /);
    expect(await none.text()).toContain('origin');
    for (const authorization of [
      basic('wrong'),
      basic('', ''),
      basic(other.token),
      basic('x', other.token),
      basic(`${access.token}x`),
    ]) {
      expect((await get(url, { authorization })).status).toBe(403);
    }
    expect((await get(url, { authorization: 'Bearer x' })).status).toBe(401);
    for (const authorization of [basic(access.token), basic('git', access.token)]) {
      expect((await get(url, { authorization })).status).toBe(200);
    }
  });

  it('has nothing but its own repository: no other path, no traversal, no encoded one (G2)', async () => {
    const paths = [
      '/other.git/info/refs?service=git-upload-pack',
      '/demo/info/refs?service=git-upload-pack',
      '/demo.git/HEAD',
      '/demo.git/objects/info/packs',
      '/demo.git%2finfo/refs?service=git-upload-pack',
      '//demo.git/info/refs?service=git-upload-pack',
      '/',
    ];
    for (const url of paths) expect([url, (await get(url)).status]).toEqual([url, 404]);
    // Written to the wire as it is: fetch would resolve the dots itself.
    expect(await rawStatus('GET /demo.git/../demo.git/info/refs?service=git-upload-pack HTTP/1.1')).toBe(404);
    expect(await rawStatus('GET /demo.git/%2e%2e/demo.git/info/refs?service=git-upload-pack HTTP/1.1')).toBe(
      404,
    );
    expect(await rawStatus('GET http://x/demo.git/info/refs?service=git-upload-pack HTTP/1.1')).toBe(404);
  });

  it('answers a stranger the same whatever they ask for (G2)', async () => {
    for (const url of ['/demo.git/info/refs?service=git-upload-pack', '/other.git/x', '/']) {
      expect((await get(url, { authorization: basic('guess') })).status).toBe(403);
      expect((await get(url, { authorization: '' })).status).toBe(401);
    }
  });

  it('speaks the smart protocol only (G3)', async () => {
    expect((await get('/demo.git/info/refs')).status).toBe(400);
    expect((await get('/demo.git/info/refs?service=git-upload-archive')).status).toBe(400);
    expect((await get('/demo.git/info/refs?service=git-upload-pack&x=y')).status).toBe(400);
    expect(
      (await get('/demo.git/info/refs?service=git-upload-pack', { method: 'PUT', body: 'x' })).status,
    ).toBe(405);
    expect((await get('/demo.git/git-receive-pack')).status).toBe(405);
    expect(
      (
        await get('/demo.git/git-receive-pack', {
          method: 'POST',
          body: 'x',
          headers: { 'content-type': 'text/plain' },
        })
      ).status,
    ).toBe(415);
  });

  it.each([2, 60])('takes a push of %i MiB, which git sends chunked (G4)', async (mebibytes) => {
    const work = await access.clone(`big-${mebibytes}`);
    await work.ok('checkout', '--quiet', '-b', `big-${mebibytes}`);
    await writeFile(path.join(work.directory, 'big.bin'), randomBytes(mebibytes * 1024 ** 2));
    await work.ok('add', '--all');
    await work.ok('commit', '--quiet', '--message', 'Add a big file');
    await work.ok('push', '--quiet', 'origin', 'HEAD');
    const pushed = await fixture.mirror.head(`refs/heads/k3f9a/big-${mebibytes}`);
    expect(pushed).toBe(await work.head());
    expect(await fixture.mirror.ok('cat-file', '-s', `${pushed}:big.bin`)).toBe(
      String(mebibytes * 1024 ** 2),
    );
  });

  it('takes a gzip body (G4)', async () => {
    const head = await fixture.upstream.work.head();
    const id = await fixture.mirror.ok('rev-parse', 'refs/heads/main');
    expect(id).toBe(head);
    const want = `0032want ${head}\n00000009done\n`;
    const response = await get('/demo.git/git-upload-pack', {
      method: 'POST',
      body: gzipSync(Buffer.from(want)),
      headers: { 'content-type': 'application/x-git-upload-pack-request', 'content-encoding': 'gzip' },
    });
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).toString('latin1')).toMatch(/^0008NAK\nPACK/);
  });

  async function rawStatus(line: string): Promise<number> {
    const socket = connect(access.port, '127.0.0.1');
    socket.write(`${line}\r\nHost: x\r\nAuthorization: ${basic(access.token)}\r\nConnection: close\r\n\r\n`);
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    await once(socket, 'close');
    return Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(text)?.[1]);
  }
});

describe('the gate bounds what a task may cost', () => {
  it('refuses a push over the limit with words the agent reads, and nothing of it stays (G4)', async () => {
    await using fixture = await gateFixture({ limits: { maxPushBytes: 3 * 1024 ** 2 } });
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    await writeFile(path.join(work.directory, 'big.bin'), randomBytes(8 * 1024 ** 2));
    await work.ok('add', '--all');
    await work.ok('commit', '--quiet', '--message', 'Too big');
    const result = await work.run(['push', 'origin', 'HEAD:refs/heads/big']);
    expect(result.exitCode).not.toBe(0);
    expect(result.stderr).toContain('larger than the 3 MiB the gate accepts');
    expect(await fixture.gate.branches(fixture.project)).toEqual([]);
    // The limit is on one push, not on the task.
    await work.ok('reset', '--quiet', '--hard', 'HEAD~');
    await work.commit('small.txt', 'small\n');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/small');
    expect(await fixture.gate.branches(fixture.project)).toHaveLength(1);
  });

  it('serves many clones through few processes, and drops clients that stall (G9)', async () => {
    await using fixture = await gateFixture({
      limits: { concurrentRequests: 2, idleMs: 1_500, headMs: 1_000 },
    });
    const access = await fixture.openTask('k3f9a');
    const clones = await Promise.all(Array.from({ length: 12 }, (_, index) => access.clone(`c${index}`)));
    expect(clones).toHaveLength(12);

    const started = Date.now();
    const socket = connect(access.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const head = `POST /demo.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(access.token)}\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000000\r\n\r\n`;
    socket.write(`${head}0000`);
    socket.resume();
    await once(socket, 'close');
    expect(Date.now() - started).toBeLessThan(15_000);
    await access.clone('after');
  });
});
