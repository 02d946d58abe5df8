import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GateFixture, gateFixture, type TaskAccess } from '../support/gate-fixture.ts';
import { type GitClient, refsOf } from '../support/git-fixtures.ts';

describe('reviewing and promoting what a task pushed', () => {
  let fixture: GateFixture;
  let access: TaskAccess;
  let work: GitClient;
  let head: string;
  const branch = 'k3f9a/fix/x';

  beforeEach(async () => {
    fixture = await gateFixture();
    access = await fixture.openTask('k3f9a');
    work = await access.clone();
    await work.ok('checkout', '--quiet', '-b', 'fix/x');
    await work.ok('mv', 'src/app.txt', 'src/main.txt');
    await writeFile(path.join(work.directory, 'logo.bin'), Buffer.from([0, 1, 2, 3]));
    await work.commit('README.md', '# A project\nwith words\n', 'Say more');
    head = await work.commit('weird \u202e\u001b[31mname.txt', 'x\n', 'Hide \u202esomething');
    await work.ok('push', '--quiet', 'origin', 'HEAD');
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  const upstreamHead = (name: string) =>
    refsOf(fixture.upstream.bare).then((refs) => refs.get(`refs/heads/${name}`));
  const request = (more: { readonly target?: string; readonly head?: string } = {}) => ({
    project: fixture.project,
    branch,
    head,
    ...more,
  });

  it("shows commits and files, with text of the agent's made harmless", async () => {
    const diff = await fixture.gate.diff({ project: fixture.project, branch });
    expect(diff).toMatchObject({
      branch,
      head,
      base: 'main',
      baseHead: await fixture.upstream.work.head(),
      commitCount: 2,
      fileCount: 4,
    });
    expect(diff.commits.map(({ subject, author }) => `${author}: ${subject}`)).toEqual([
      'Dev: Hide \\u{202e}something',
      'Dev: Say more',
    ]);
    expect(diff.files).toEqual([
      { path: 'README.md', added: 1, removed: 0, status: 'modified' },
      { path: 'logo.bin', added: undefined, removed: undefined, status: 'added' },
      { path: 'src/main.txt', added: 0, removed: 0, status: 'renamed from src/app.txt' },
      { path: 'weird \\u{202e}name.txt', added: 1, removed: 0, status: 'added' },
    ]);
    await expect(
      fixture.gate.diff({ project: fixture.project, branch: 'k3f9a/fix/y' }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND', hint: expect.stringContaining(branch) });
    await expect(
      fixture.gate.diff({ project: fixture.project, branch, base: '--output=/tmp/x' }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('compares from where the branch left its base', async () => {
    await fixture.upstream.work.commit('later.txt', 'later\n');
    await fixture.upstream.work.ok('push', '--quiet', 'origin', 'main');
    await fixture.gate.sync(fixture.project);
    const diff = await fixture.gate.diff({ project: fixture.project, branch });
    expect(diff.files.map((file) => file.path)).not.toContain('later.txt');
    expect(await fixture.gate.branches(fixture.project, 'k3f9a')).toMatchObject([{ ahead: 2, behind: 1 }]);
  });

  it('shows the whole difference when the histories share nothing', async () => {
    await work.ok('checkout', '--quiet', '--orphan', 'lone');
    await work.commit('lone.txt', 'lone\n');
    await work.ok('push', '--quiet', 'origin', 'lone');
    const diff = await fixture.gate.diff({ project: fixture.project, branch: 'k3f9a/lone' });
    expect(diff.files.every((file) => file.status === 'added')).toBe(true);
  });

  it('gives the patch in pages that join to the whole', async () => {
    const whole = await fixture.gate.patch({
      project: fixture.project,
      branch,
      offset: 0,
      maxChars: 100_000,
    });
    expect(whole.text).toContain('+with words');
    expect(whole.text).not.toMatch(/[\u202e\u001b]/);
    expect(whole).toMatchObject({ totalChars: whole.text.length, nextOffset: undefined, head });
    let joined = '';
    for (let offset: number | undefined = 0; offset !== undefined; ) {
      const page = await fixture.gate.patch({ project: fixture.project, branch, offset, maxChars: 120 });
      expect(page.text.length).toBeLessThanOrEqual(120);
      expect(page.totalChars).toBe(whole.totalChars);
      joined += page.text;
      offset = page.nextOffset;
    }
    expect(joined).toBe(whole.text);
  });

  it('promotes exactly the reviewed commit, and a repeated call finds it there', async () => {
    const before = await upstreamHead('main');
    expect(await fixture.gate.isPromoted(request({ target: 'main' }))).toBe(false);
    expect(await fixture.gate.promote(request({ target: 'main' }))).toEqual({
      target: 'main',
      head,
      previous: before,
      alreadyThere: false,
    });
    expect(await upstreamHead('main')).toBe(head);
    expect(await fixture.mirror.head('refs/heads/main')).toBe(head);
    expect(await fixture.gate.promote(request({ target: 'main' }))).toEqual({
      target: 'main',
      head,
      previous: head,
      alreadyThere: true,
    });
    expect(await fixture.gate.isPromoted(request({ target: 'main' }))).toBe(true);
    expect(await fixture.gate.closeTask(fixture.project, 'k3f9a')).toEqual([]);
  });

  it('promotes to a new branch named as the agent named it', async () => {
    expect(await fixture.gate.promote(request())).toEqual({
      target: 'fix/x',
      head,
      previous: undefined,
      alreadyThere: false,
    });
    expect(await upstreamHead('fix/x')).toBe(head);
  });

  it("refuses a commit that is not what the branch is at, an abbreviated one, and branches that are no task's", async () => {
    const moved = await work.commit('more.txt', 'more\n');
    await work.ok('push', '--quiet', 'origin', 'HEAD');
    const before = await refsOf(fixture.upstream.bare);
    await expect(fixture.gate.promote(request({ target: 'main' }))).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(moved),
    });
    await expect(fixture.gate.promote(request({ head: moved.slice(0, 12) }))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
    await expect(fixture.gate.promote(request({ head: moved.toUpperCase() }))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
    await expect(fixture.gate.promote({ ...request(), branch: 'main' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(fixture.gate.promote({ ...request(), branch: 'release/1.x' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    for (const target of ['--delete', 'a b', 'x:main', 'a..b', '']) {
      await expect(
        fixture.gate.promote(request({ head: moved, target })).then(() => target),
      ).rejects.toMatchObject({ code: expect.stringMatching(/INVALID_INPUT|COMMAND_FAILED/) });
    }
    expect(await refsOf(fixture.upstream.bare)).toEqual(before);
  });

  it('never forces: what upstream gained meanwhile stays', async () => {
    const theirs = await fixture.upstream.work.commit('theirs.txt', 'theirs\n');
    await fixture.upstream.work.ok('push', '--quiet', 'origin', 'main');
    await expect(fixture.gate.promote(request({ target: 'main' }))).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    expect(await upstreamHead('main')).toBe(theirs);
    // After a merge it is a fast-forward.
    await work.ok('pull', '--quiet', '--no-rebase', fixture.upstream.url, 'main');
    await work.ok('push', '--quiet', 'origin', 'HEAD');
    const merged = await work.head();
    await fixture.gate.promote(request({ target: 'main', head: merged }));
    expect(await upstreamHead('main')).toBe(merged);
  });

  it('a rule of upstream against it is told apart, with what upstream said', async () => {
    const hook = path.join(fixture.upstream.url, 'hooks/pre-receive');
    await mkdir(path.dirname(hook), { recursive: true });
    await writeFile(hook, '#!/bin/sh\nprintf "only on \\033[31mFridays\\n" >&2\nexit 1\n');
    await chmod(hook, 0o755);
    const before = await refsOf(fixture.upstream.bare);
    const failure = await fixture.gate.promote(request({ target: 'main' })).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('refused'),
      details: expect.stringContaining('only on Fridays'),
    });
    expect(await refsOf(fixture.upstream.bare)).toEqual(before);
  });

  it('an unreachable upstream loses nothing, and the promotion can be made later', async () => {
    const mirror = await refsOf(fixture.mirror);
    await rename(fixture.upstream.url, `${fixture.upstream.url}.gone`);
    await expect(fixture.gate.promote(request({ target: 'main' }))).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      hint: expect.any(String),
    });
    expect(await refsOf(fixture.mirror)).toEqual(mirror);
    await rename(`${fixture.upstream.url}.gone`, fixture.upstream.url);
    await fixture.gate.promote(request({ target: 'main' }));
    expect(await upstreamHead('main')).toBe(head);
  });

  it('of two promotions at once to one branch, one is refused and none lost', async () => {
    await work.ok('checkout', '--quiet', '-b', 'rival', 'origin/main');
    const rival = await work.commit('rival.txt', 'rival\n');
    await work.ok('push', '--quiet', 'origin', 'rival');
    const results = await Promise.allSettled([
      fixture.gate.promote(request({ target: 'main' })),
      fixture.gate.promote({ project: fixture.project, branch: 'k3f9a/rival', head: rival, target: 'main' }),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'CONFLICT' },
    });
  });
});
