import { chmod, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_LISTED_BRANCHES } from '../../src/runtime/gate/contract.ts';
import { type GateFixture, gateFixture } from '../support/gate-fixture.ts';
import { type Playground, playground, refsOf } from '../support/git-fixtures.ts';

describe('what a task pushes costs the host little, however much it is', () => {
  let fixture: GateFixture;
  let outside: Playground | undefined;
  afterEach(async () => {
    await fixture[Symbol.asyncDispose]();
    await outside?.[Symbol.asyncDispose]();
  });

  it('thousands of branches take no more git processes than a few, and none is lost', async () => {
    outside = await playground();
    const count = path.join(outside.directory, 'count');
    await writeFile(count, '');
    const real = (process.env['PATH'] ?? '').split(':').join(' ');
    // Stands before the real git and notes each call.
    const wrapper = `#!/bin/sh\necho >> ${count}\nfor d in ${real}; do [ -x $d/git ] && exec $d/git "$@"; done\n`;
    await writeFile(path.join(outside.directory, 'git'), wrapper);
    await chmod(path.join(outside.directory, 'git'), 0o755);
    fixture = await gateFixture({ env: { PATH: `${outside.directory}:${process.env['PATH'] ?? ''}` } });
    const { gate, project, mirror, pushes } = fixture;
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    const head = await work.commit('x.txt', 'x\n');
    const newer = await work.commit('x.txt', 'y\n');
    await work.ok('push', '--quiet', 'origin', `${head}:refs/heads/b0000`);
    const names = Array.from({ length: 1500 }, (_, index) => `b${String(index).padStart(4, '0')}`);
    const inNamespace = async (id: string) => {
      const input = names.map((name) => `update refs/namespaces/k3f9a/refs/heads/${name} ${id}\n`).join('');
      expect(await mirror.run(['update-ref', '--stdin'], { input })).toMatchObject({ exitCode: 0 });
    };
    const calls = async () => (await readFile(count, 'utf8')).length;
    const costOf = async (work: () => Promise<unknown>) => {
      const before = await calls();
      await work();
      return (await calls()) - before;
    };
    await work.ok('push', '--quiet', 'origin', `${newer}:refs/heads/zz`);

    await inNamespace(newer);
    expect(await costOf(() => gate.publish(project, 'k3f9a'))).toBeLessThan(25);
    expect(pushes.at(-1)).toMatchObject({ updateCount: 201, unpublished: 1301 });
    expect(pushes.at(-1)?.updates).toHaveLength(50);
    expect(pushes.at(-1)?.updates[0]).toEqual({ branch: 'k3f9a/b0000', before: head, after: newer });
    expect((await refsOf(mirror, 'refs/heads/k3f9a/')).size).toBe(200);

    await inNamespace(head);
    expect(await costOf(() => gate.publish(project, 'k3f9a'))).toBeLessThan(25);
    // 200 published branches left the newer commit at once, which only the unpublished "zz" still has.
    expect((await refsOf(mirror, 'refs/terok/backup/k3f9a')).size).toBe(200);
    expect(await gate.branches(project, 'k3f9a')).toHaveLength(MAX_LISTED_BRANCHES);

    expect(await costOf(() => gate.closeTask(project, 'k3f9a'))).toBeLessThan(25);
    const archived = await refsOf(mirror, 'refs/terok/archive/k3f9a');
    expect(archived.size).toBe(1501);
    expect(archived.get('refs/terok/archive/k3f9a/b1499')).toBe(head);
    expect(archived.get('refs/terok/archive/k3f9a/zz')).toBe(newer);
    expect(await gate.tasksWithRefs(project)).toEqual([]);
  });

  it('a large file of many lines is compared as binary', async () => {
    fixture = await gateFixture();
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    await work.commit('lines.txt', '\n'.repeat(5 * 1024 * 1024));
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/fix');
    const diff = await fixture.gate.diff({ project: fixture.project, branch: 'k3f9a/fix' });
    expect(diff.files).toEqual([
      { path: 'lines.txt', added: undefined, removed: undefined, status: 'added' },
    ]);
  });

  it('a difference for a promotion is that to its target in upstream, not to a branch of that name here', async () => {
    fixture = await gateFixture();
    const { upstream, gate, project } = fixture;
    await upstream.work.commit('more.txt', '1\n');
    await upstream.work.commit('more.txt', '2\n');
    await upstream.work.ok('push', '--quiet', 'origin', 'main');
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    const head = await work.commit('fix.txt', 'x\n');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/fix');
    const seen = async (target: string) => {
      const { base, commitCount } = await gate.diff({ project, branch: 'k3f9a/fix', target });
      return { base, commitCount };
    };
    expect(await seen('main')).toEqual({ base: 'main', commitCount: 1 });
    expect(await seen('release/1.x')).toEqual({ base: 'release/1.x', commitCount: 3 });
    expect(await seen('new')).toEqual({ base: 'main', commitCount: 1 });
    expect(await seen('k3f9a/fix')).toEqual({ base: 'main', commitCount: 1 });
    const before = (await refsOf(upstream.bare)).get('refs/heads/release/1.x');
    await gate.promote({ project, branch: 'k3f9a/fix', head, target: 'release/1.x' });
    expect(await upstream.bare.ok('rev-list', '--count', `${before}..release/1.x`)).toBe('3');
  });
});
