import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { branchNameProblem } from '../../../src/runtime/core/branch-name.ts';
import { systemClock } from '../../../src/runtime/core/clock.ts';
import { silentLogger } from '../../../src/runtime/core/log.ts';
import { nearestNames } from '../../../src/runtime/core/nearest.ts';
import {
  parseUpstreamUrl,
  splitCredentials,
  withoutCredentials,
} from '../../../src/runtime/core/upstream-url.ts';
import { parseCgiHead } from '../../../src/runtime/gate/cgi-response.ts';
import { DiffParser } from '../../../src/runtime/gate/diff-parser.ts';
import { decideRequest } from '../../../src/runtime/gate/gate-requests.ts';
import { planClosing, planOpening, planPublication } from '../../../src/runtime/gate/ref-plans.ts';
import { RefusalLog } from '../../../src/runtime/gate/refusal-log.ts';
import { RequestSlots } from '../../../src/runtime/gate/request-slots.ts';
import { TextWindow } from '../../../src/runtime/gate/text-window.ts';
import { parseLsRemote } from '../../../src/runtime/gate/upstream.ts';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);

describe('branch names', () => {
  it.each(['main', 'fix/x', 'release/1.x', 'größe', 'a-b_c.d', '+main', "it's"])('%j is one', (name) =>
    expect(branchNameProblem(name)).toBeUndefined(),
  );
  it.each([
    '',
    '-x',
    '/x',
    'x/',
    'a//b',
    '.x',
    'a/.b',
    'x.lock',
    'x.lock/y',
    'a..b',
    'a b',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[',
    'a\\b',
    'a@{b',
    '@',
    'HEAD',
    'a.',
    'a\u007f',
    'a\nb',
    'a\u202eb',
    'x'.repeat(201),
  ])('%j is none', (name) => expect(branchNameProblem(name)).toBeTypeOf('string'));
});

describe('near names', () => {
  it('are those a typing error away, nearest first', () => {
    expect(nearestNames('webiste', ['website', 'blog', 'other'])).toEqual(['website']);
    expect(nearestNames('web', ['website', 'other', 'webs'])).toEqual(['webs', 'website']);
    expect(nearestNames('', ['x'])).toEqual([]);
    expect(nearestNames('zzzzzz', ['website'])).toEqual([]);
  });
});

describe('what a request to the gate may be', () => {
  const tokenHash = createHash('sha256').update('token').digest();
  const authorization = `Basic ${Buffer.from('token:').toString('base64')}`;
  const decide = (more: Partial<Parameters<typeof decideRequest>[0]>, isReadOnly = false) =>
    decideRequest(
      {
        method: 'GET',
        url: '/demo.git/info/refs?service=git-upload-pack',
        authorization,
        contentType: undefined,
        contentEncoding: undefined,
        ...more,
      },
      { project: 'demo', tokenHash, isReadOnly },
    );
  const post = {
    method: 'POST',
    url: '/demo.git/git-receive-pack',
    contentType: 'application/x-git-receive-pack-request',
  };

  it('serves the four requests of smart HTTP', () => {
    expect(decide({})).toEqual({ kind: 'serve', service: 'git-upload-pack', isAdvertisement: true });
    expect(decide(post)).toEqual({ kind: 'serve', service: 'git-receive-pack', isAdvertisement: false });
    expect(decide({ ...post, contentEncoding: 'gzip' })).toMatchObject({ kind: 'serve' });
  });
  it.each([
    [{ authorization: undefined }, 401],
    [{ authorization: 'Basic !!!' }, 401],
    [{ authorization: 'Basic dG9rZW4x' }, 403],
    [{ url: '/demo.git' }, 404],
    [{ url: '/demo.git/git-upload-archive', method: 'POST' }, 404],
    [{ url: '/DEMO.git/info/refs?service=git-upload-pack' }, 404],
    [{ url: '/demo.git/info/refs?service=git-upload-pack%00' }, 400],
    [{ method: 'HEAD' }, 405],
    [{ ...post, url: `${post.url}?x` }, 400],
    [{ ...post, contentType: 'application/x-git-upload-pack-request' }, 415],
    [{ ...post, contentEncoding: 'deflate' }, 415],
  ])('refuses %j with %i', (more, status) => expect(decide(more)).toMatchObject({ kind: 'refuse', status }));

  it.each([
    { url: '/demo.git/info/refs?service=git-receive-pack' },
    {
      method: 'POST',
      url: '/demo.git/git-receive-pack',
      contentType: 'application/x-git-receive-pack-request',
    },
  ])('without a gate a task pushes nothing, and fetches as ever: $url', (push) => {
    expect(decide(push)).toMatchObject({ kind: 'serve', service: 'git-receive-pack' });
    expect(decide(push, true)).toMatchObject({ status: 403, text: expect.stringContaining('push nothing') });
    expect(decide({}, true)).toMatchObject({ kind: 'serve', service: 'git-upload-pack' });
  });

  it('a hash that no token has admits nobody', () => {
    expect(
      decideRequest(
        { method: 'GET', url: '/', authorization, contentType: undefined, contentEncoding: undefined },
        { project: 'demo', tokenHash: new Uint8Array(), isReadOnly: false },
      ),
    ).toMatchObject({ status: 403 });
  });
});

describe('the head of a CGI answer', () => {
  it('is split from the body, with its status and the headers we know', () => {
    expect(
      parseCgiHead(
        Buffer.from('Status: 404 Not Found\r\nContent-Type: text/plain\r\nSet-Cookie: x\r\n\r\nbody'),
      ),
    ).toEqual({
      head: { status: 404, headers: { 'Content-Type': 'text/plain' } },
      body: Buffer.from('body'),
    });
    expect(parseCgiHead(Buffer.from('Content-Type: x\n\n'))).toMatchObject({ head: { status: 200 } });
  });
  it('may be incomplete or malformed', () => {
    expect(parseCgiHead(Buffer.from('Content-Type: x\r\n'))).toBe('incomplete');
    expect(parseCgiHead(Buffer.from('no colon\r\n\r\n'))).toBe('malformed');
    expect(parseCgiHead(Buffer.from('Status: 999 x\r\n\r\n'))).toBe('malformed');
    expect(parseCgiHead(Buffer.alloc(20_000, 'x'))).toBe('malformed');
  });
});

describe('the log of refused requests', () => {
  it('has one line for the first, then at most one a minute with a count, and the rest at the end', () => {
    let now = 0;
    const lines: object[] = [];
    const log = new RefusalLog({
      log: { ...silentLogger, info: (fields) => lines.push(fields) },
      clock: { ...systemClock, now: () => new Date(now) },
    });
    for (now = 0; now < 130_000; now += 10) log.add(403);
    expect(lines).toEqual([
      { status: 403, refused: 1 },
      { status: 403, refused: 6000 },
      { status: 403, refused: 6000 },
    ]);
    log.flush();
    log.flush();
    expect(lines.at(-1)).toEqual({ status: 403, refused: 999 });
    expect(lines).toHaveLength(4);
  });
});

describe('an upstream with credentials in its URL', () => {
  it.each([
    ['https://u:p@h:8443/x.git', 'https://h:8443/x.git', 'https://u:p@h%3a8443\n'],
    ['https://token@h/x.git', 'https://h/x.git', 'https://token:@h\n'],
    ['https://u:p@ss%2F@h/x.git', 'https://h/x.git', 'https://u:p%40ss%2f@h\n'],
    ['https://h/x@y.git', 'https://h/x@y.git', undefined],
    ['ssh://git:p@h/x.git', 'ssh://git@h/x.git', undefined],
    ['git@h:x.git', 'git@h:x.git', undefined],
    ['/srv/a@b.git', '/srv/a@b.git', undefined],
  ])('%s is parted from them', (whole, url, credentials) => {
    expect(splitCredentials(whole)).toEqual({ url, credentials });
  });
  it('is shown without any of them', () => {
    expect(withoutCredentials('see https://u:p@ss@h/x.git')).toBe('see https://h/x.git');
  });
  it('of another transport is refused by naming those there are', () => {
    for (const url of ['ftp://h/x', 'nonsense']) {
      expect(parseUpstreamUrl(url)).toMatchObject({
        problem: expect.stringMatching(/https, http, ssh, git/),
      });
    }
  });
});

describe('request slots', () => {
  it('hands a slot on in turn, forgets who gave up, and turns away past the line', async () => {
    const slots = new RequestSlots({ slots: 1, maxWaiting: 2 });
    const never = new AbortController().signal;
    const gaveUp = new AbortController();
    const first = await slots.take(never);
    const second = slots.take(gaveUp.signal);
    const third = slots.take(never);
    expect(await slots.take(never)).toBeUndefined();
    gaveUp.abort();
    expect(await second).toBeUndefined();
    first?.();
    first?.();
    const release = await third;
    expect(release).toBeTypeOf('function');
    release?.();
    expect(await slots.take(never)).toBeTypeOf('function');
    expect(await slots.take(gaveUp.signal)).toBeUndefined();
  });
});

describe('reading git output', () => {
  it('joins status and counts of a diff, however it is cut into pieces, and counts what it does not keep', () => {
    const output = [
      `:1 2 ${A} ${B} M`,
      'a\tb',
      `:1 2 ${A} ${B} R090`,
      'old',
      'new',
      `:0 2 ${A} ${B} A`,
      'bin',
      `:0 2 ${A} ${B} D`,
      'gone',
      '1\t2\ta\tb',
      '0\t0\t',
      'old',
      'new',
      '-\t-\tbin',
      '0\t9\tgone',
      '',
    ].join('\0');
    for (const size of [1, 7, 1000]) {
      const parser = new DiffParser({ maxFiles: 3 });
      for (let at = 0; at < output.length; at += size) parser.push(output.slice(at, at + size));
      expect(parser.fileCount).toBe(4);
      expect(parser.files).toEqual([
        { path: 'a b', added: 1, removed: 2, status: 'modified' },
        { path: 'new', added: 0, removed: 0, status: 'renamed from old' },
        { path: 'bin', added: undefined, removed: undefined, status: 'added' },
      ]);
    }
  });

  it('a name as long as a push takes no time to speak of, and no memory', () => {
    const parser = new DiffParser({ maxFiles: 3 });
    const started = performance.now();
    parser.push(`:0 1 ${A} ${B} A\0`);
    for (const prefix of ['', '3\t0\t']) {
      parser.push(prefix);
      for (let piece = 0; piece < 4096; piece++) parser.push('n\u202e'.repeat(2048));
      parser.push('\0');
    }
    parser.push('1\t1\tnext\0');
    expect(performance.now() - started).toBeLessThan(1000);
    expect(parser.fileCount).toBe(2);
    expect(parser.files).toHaveLength(1);
    expect(parser.files[0]).toMatchObject({ added: 3, removed: 0, status: 'added' });
    expect(parser.files[0]?.path).toMatch(/^n\\u\{202e\}.* more\)$/);
    expect(parser.files[0]?.path.length).toBeLessThan(600);
  });

  it('finds branches, tags and HEAD in what an upstream lists, and nothing else', () => {
    const text = `ref: refs/heads/trunk\tHEAD\n${A}\tHEAD\n${A}\trefs/heads/trunk\n${B}\trefs/tags/v1\n${A}\trefs/tags/v1^{}\n${A}\trefs/pull/1/head\nnonsense\trefs/heads/x\n`;
    expect(parseLsRemote(text)).toEqual({
      defaultBranch: 'trunk',
      refs: new Map([
        ['refs/heads/trunk', A],
        ['refs/tags/v1', B],
      ]),
    });
  });

  it('shows a window of hostile text: cleaned, long lines cut, memory bounded', () => {
    const window = new TextWindow({ offset: 0, maxChars: 100 });
    window.push('a\u001b[31mb\u202e\n\tx\r\n');
    for (let index = 0; index < 100; index++) window.push('y'.repeat(10_000));
    const page = window.finish();
    expect(page.text).toBe('ab\\u{202e}\n\tx\n');
    expect(page.nextOffset).toBe(page.text.length);
    expect(page.totalChars).toBe(page.text.length + 2000 + '… (998000 more)'.length);
    const next = new TextWindow({ offset: page.text.length, maxChars: 50 });
    next.push(`ab\u202e\n\tx\n${'y'.repeat(1_000_000)}`);
    expect(next.finish()).toMatchObject({ text: 'y'.repeat(50), nextOffset: page.text.length + 50 });
    expect(new TextWindow({ offset: 5, maxChars: 5 }).finish()).toEqual({
      text: '',
      totalChars: 0,
      nextOffset: undefined,
    });
  });
});

describe('what changes when a task', () => {
  const T = 'k3f9a';
  it("opens: its namespace and seed are upstream's branches and tags; leftovers and branches in its place go", () => {
    const existing = new Map([
      ['refs/terok/upstream/main', A],
      ['refs/tags/v1', B],
      [`refs/namespaces/${T}/refs/heads/old`, B],
      [`refs/heads/${T}/x`, B],
      [`refs/heads/${T}`, B],
    ]);
    expect(planOpening(T, existing)).toEqual([
      { kind: 'delete', ref: `refs/namespaces/${T}/refs/heads/old`, from: B },
      { kind: 'delete', ref: `refs/heads/${T}/x`, from: B },
      { kind: 'delete', ref: `refs/heads/${T}`, from: B },
      { kind: 'set', ref: `refs/namespaces/${T}/refs/heads/main`, to: A },
      { kind: 'set', ref: `refs/terok/seed/${T}/main`, to: A },
      { kind: 'set', ref: `refs/namespaces/${T}/refs/tags/v1`, to: B },
    ]);
  });

  it('pushes: branches that left their seed are published, those gone or back at it are not', () => {
    const existing = new Map([
      [`refs/namespaces/${T}/refs/heads/main`, A],
      [`refs/terok/seed/${T}/main`, A],
      [`refs/namespaces/${T}/refs/heads/fix`, B],
      [`refs/heads/${T}/fix`, A],
      [`refs/heads/${T}/main`, B],
      [`refs/namespaces/${T}/refs/heads/bad\u202ename`, B],
    ]);
    expect(planPublication(T, existing).updates).toEqual([
      { name: 'fix', before: A, after: B },
      { name: 'main', before: B, after: undefined },
    ]);
  });

  it('closes: unpromoted heads are told, everything but the archive goes, the marker last', () => {
    const existing = new Map([
      [`refs/namespaces/${T}/refs/heads/fix`, B],
      [`refs/namespaces/${T}/refs/heads/done`, A],
      [`refs/terok/promoted/${T}/done`, A],
      [`refs/terok/opened/${T}`, A],
      [`refs/terok/archive/${T}/earlier`, A],
    ]);
    const plan = planClosing(T, existing);
    expect(plan.heads).toEqual([{ name: 'fix', head: B }]);
    expect(plan.removals.map(({ ref }) => ref)).toEqual([
      `refs/namespaces/${T}/refs/heads/fix`,
      `refs/namespaces/${T}/refs/heads/done`,
      `refs/terok/promoted/${T}/done`,
    ]);
    expect(plan.marker).toEqual([{ kind: 'delete', ref: `refs/terok/opened/${T}`, from: A }]);
  });
});
