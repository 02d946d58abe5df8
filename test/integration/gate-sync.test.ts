import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GateFixture, gateFixture } from '../support/gate-fixture.ts';
import { makeUpstream, refsOf } from '../support/git-fixtures.ts';

describe('the mirror follows its upstream', () => {
  let fixture: GateFixture;
  beforeEach(async () => {
    fixture = await gateFixture();
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  const heads = async () =>
    new Map(
      [...(await refsOf(fixture.mirror, 'refs/heads'))].map(([ref, id]) => [
        ref.slice('refs/heads/'.length),
        id,
      ]),
    );

  it("has upstream's branches, tags and HEAD after the first sync, and no way to run anything", async () => {
    const main = await fixture.upstream.work.head();
    expect(await fixture.gate.sync(fixture.project)).toEqual({
      defaultBranch: 'main',
      head: main,
      stale: undefined,
    });
    expect(await heads()).toEqual(
      new Map([
        ['main', main],
        ['release/1.x', main],
      ]),
    );
    expect(await fixture.mirror.ok('symbolic-ref', 'HEAD')).toBe('refs/heads/main');
    expect(await fixture.mirror.ok('tag')).toBe('v1.0');
    expect(await fixture.mirror.ok('config', '--local', '--name-only', '--list')).not.toMatch(
      /remote|hook|alias/,
    );
    expect(await readdir(fixture.gate.path(fixture.project))).not.toContain('hooks');
    expect((await readdir(path.join(fixture.ground.directory, 'gate'))).sort()).toEqual([
      '.host',
      'demo.git',
    ]);
  });

  it('moves branches forward and back, adds and removes them, as upstream does', async () => {
    await fixture.gate.sync(fixture.project);
    const { work } = fixture.upstream;
    const rewritten = await work.head('HEAD~');
    await work.ok(
      'push',
      '--quiet',
      '--force',
      'origin',
      'HEAD~:main',
      ':release/1.x',
      'HEAD:refs/heads/release',
      'HEAD:refs/heads/topic',
    );
    await work.ok('push', '--quiet', 'origin', ':v1.0');
    expect(await fixture.gate.sync(fixture.project)).toMatchObject({ head: rewritten, stale: undefined });
    expect([...(await heads()).keys()]).toEqual(['main', 'release', 'topic']);
    expect((await heads()).get('main')).toBe(rewritten);
    expect(await fixture.mirror.ok('tag')).toBe('');
  });

  it('never touches what tasks pushed', async () => {
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    await work.commit('a.txt', 'a\n');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/fix', 'HEAD:main');
    const before = await refsOf(fixture.mirror, 'refs/heads/k3f9a');
    expect(before.size).toBe(2);
    await fixture.upstream.work.commit('b.txt', 'b\n');
    await fixture.upstream.work.ok('push', '--quiet', 'origin', 'HEAD:main', 'HEAD:refs/heads/k3f9a/fix');
    await fixture.gate.sync(fixture.project);
    expect(await refsOf(fixture.mirror, 'refs/heads/k3f9a')).toEqual(before);
    expect((await heads()).get('main')).toBe(await fixture.upstream.work.head());
  });

  it('a default branch renamed upstream is still what a clone checks out (G8)', async () => {
    await fixture.gate.sync(fixture.project);
    const { bare } = fixture.upstream;
    await bare.ok('branch', '--move', 'main', 'trunk');
    expect(await bare.ok('symbolic-ref', 'HEAD')).toBe('refs/heads/trunk');
    expect(await fixture.gate.sync(fixture.project)).toMatchObject({ defaultBranch: 'trunk' });
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    expect(await work.ok('symbolic-ref', '--short', 'HEAD')).toBe('trunk');
    expect(await work.ok('ls-files')).toContain('README.md');
  });

  it('the branch that the project names is where tasks start', async () => {
    const project = fixture.projectWith({
      upstream_url: fixture.upstream.url,
      default_branch: 'release/1.x',
    });
    expect(await fixture.gate.sync(project)).toMatchObject({ defaultBranch: 'release/1.x' });
    await fixture.gate.openTask(project, 'k3f9a');
    expect(await fixture.mirror.ok('symbolic-ref', 'refs/namespaces/k3f9a/HEAD')).toBe(
      'refs/namespaces/k3f9a/refs/heads/release/1.x',
    );

    const wrong = fixture.projectWith({ upstream_url: fixture.upstream.url, default_branch: 'mian' });
    await expect(fixture.gate.openTask(wrong, 'm4g8b')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      hint: expect.stringContaining('main'),
    });
  });

  it('says that the mirror may be behind when upstream cannot be reached, and why it has none', async () => {
    const main = await fixture.upstream.work.head();
    await fixture.gate.sync(fixture.project);
    await rename(fixture.upstream.url, `${fixture.upstream.url}.gone`);
    const result = await fixture.gate.sync(fixture.project);
    expect(result).toMatchObject({ defaultBranch: 'main', head: main });
    expect(result.stale).toContain('cannot be read');

    await using fresh = await gateFixture();
    const unreachable = fresh.projectWith({ upstream_url: 'http://user:secret@127.0.0.1:9/x.git' });
    const failure = await fresh.gate.sync(unreachable).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'COMMAND_FAILED',
      hint: expect.stringContaining('git.upstream_url'),
    });
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain('secret');
    expect(await readdir(path.join(fresh.ground.directory, 'gate'))).toEqual(['.host']);
    expect(await fresh.gate.sync(fresh.project)).toMatchObject({ stale: undefined });
  });

  it('refuses to mix two upstreams in one mirror, and says what to do', async () => {
    await fixture.gate.sync(fixture.project);
    const other = await makeUpstream(fixture.ground, 'other');
    const moved = fixture.projectWith({ upstream_url: other.url });
    await expect(fixture.gate.sync(moved)).rejects.toMatchObject({
      code: 'CONFLICT',
      hint: expect.stringContaining(fixture.gate.path(fixture.project)),
    });
  });

  it('an upstream without commits is one clear error when a task opens', async () => {
    const empty = path.join(fixture.ground.directory, 'empty.git');
    await fixture.ground.git.ok('init', '--quiet', '--bare', empty);
    const project = fixture.projectWith({ upstream_url: empty });
    expect(await fixture.gate.sync(project)).toMatchObject({ head: undefined, stale: undefined });
    await expect(fixture.gate.openTask(project, 'k3f9a')).rejects.toMatchObject({
      code: 'CONFLICT',
      hint: expect.stringContaining('first commit'),
    });
    await fixture.upstream.work.ok('push', '--quiet', empty, 'HEAD:main');
    await fixture.gate.sync(project);
    await fixture.gate.openTask(project, 'k3f9a');
  });

  it('concurrent syncs share one exchange; one caller giving up does not stop the others', async () => {
    const impatient = new AbortController();
    const results = await Promise.allSettled([
      fixture.gate.sync(fixture.project, impatient.signal),
      ...Array.from({ length: 10 }, () => fixture.gate.sync(fixture.project)),
      Promise.resolve().then(() => impatient.abort()),
    ]);
    expect(results[0]).toMatchObject({ status: 'rejected', reason: { code: 'CANCELLED' } });
    expect(results.slice(1).every(({ status }) => status === 'fulfilled')).toBe(true);
  });

  it('what an interrupted first clone left is cleared away, and opening a task twice changes nothing', async () => {
    const gates = path.join(fixture.ground.directory, 'gate');
    await mkdir(path.join(gates, '.new-demo.git-dead'), { recursive: true });
    await writeFile(path.join(gates, '.new-demo.git-dead/HEAD'), 'ref: refs/heads/main\n');
    await fixture.openTask('k3f9a');
    expect((await readdir(gates)).sort()).toEqual(['.host', 'demo.git']);
    const before = await refsOf(fixture.mirror);
    await fixture.gate.openTask(fixture.project, 'k3f9a');
    expect(await refsOf(fixture.mirror)).toEqual(before);
  });

  it('an opening that was cut short is done again, from where upstream is by then', async () => {
    await fixture.openTask('k3f9a');
    // As a crash before the last step leaves it.
    await fixture.mirror.ok('update-ref', '-d', 'refs/terok/opened/k3f9a');
    await fixture.mirror.ok('symbolic-ref', '--delete', 'refs/namespaces/k3f9a/HEAD');
    expect(await fixture.gate.tasksWithRefs(fixture.project)).toEqual(['k3f9a']);
    const newer = await fixture.upstream.work.commit('n.txt', 'newer\n');
    await fixture.upstream.work.ok('push', '--quiet', 'origin', 'main', ':release/1.x');
    await fixture.gate.sync(fixture.project);
    await fixture.gate.openTask(fixture.project, 'k3f9a');
    expect([...(await refsOf(fixture.mirror, 'refs/namespaces/k3f9a/refs/heads'))]).toEqual([
      ['refs/namespaces/k3f9a/refs/heads/main', newer],
    ]);
    expect(await fixture.gate.publish(fixture.project, 'k3f9a')).toEqual([]);
  });

  it('closing archives what was not promoted, removes the rest, and may be repeated', async () => {
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    const head = await work.commit('a.txt', 'a\n');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/fix/x', 'origin/main:refs/heads/nothing-new');
    const archived = await fixture.gate.closeTask(fixture.project, 'k3f9a');
    expect(archived).toEqual([{ ref: 'refs/terok/archive/k3f9a/fix/x', head }]);
    const left = [...(await refsOf(fixture.mirror)).keys()].filter((ref) => ref.includes('k3f9a'));
    expect(left).toEqual(['refs/terok/archive/k3f9a/fix/x']);
    expect(await fixture.gate.closeTask(fixture.project, 'k3f9a')).toEqual([]);
    expect(await fixture.gate.tasksWithRefs(fixture.project)).toEqual([]);
  });
});
