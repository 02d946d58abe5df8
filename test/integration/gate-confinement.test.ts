import { createHash, randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GateFixture, gateFixture, type TaskAccess } from '../support/gate-fixture.ts';
import { type GitClient, refsOf } from '../support/git-fixtures.ts';
import { beginPush, rawPush } from '../support/raw-push.ts';

const TASK = 'k3f9a';
const OTHER = 'm4g8b';

describe('whatever a task pushes, nothing outside its namespace moves', () => {
  let fixture: GateFixture;
  let access: TaskAccess;
  let work: GitClient;
  let otherHead: string;
  let before: ReadonlyMap<string, string>;

  /** Everything but what belongs to the task: its namespace, its published branches, its backups. */
  async function outside(): Promise<ReadonlyMap<string, string>> {
    const own = [`refs/namespaces/${TASK}/`, `refs/heads/${TASK}/`, `refs/terok/backup/${TASK}/`];
    return new Map(
      [...(await refsOf(fixture.mirror))].filter(([ref]) => !own.some((prefix) => ref.startsWith(prefix))),
    );
  }

  beforeEach(async () => {
    fixture = await gateFixture();
    access = await fixture.openTask(TASK);
    const other = await fixture.openTask(OTHER);
    const otherWork = await other.clone();
    await otherWork.ok('checkout', '--quiet', '-b', 'secret-plan');
    otherHead = await otherWork.commit('plan.txt', 'the plan\n');
    await otherWork.ok('push', '--quiet', 'origin', 'HEAD');
    work = await access.clone();
    before = await outside();
    expect(before.get(`refs/heads/${OTHER}/secret-plan`)).toBe(otherHead);
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  it('a blob, a tree or a tag under the name of a branch stops neither its branches nor its end', async () => {
    const head = await work.commit('real.txt', 'real\n');
    const blob = (await work.ok('rev-parse', 'HEAD:real.txt')).trim();
    const tree = (await work.ok('rev-parse', 'HEAD^{tree}')).trim();
    await work.ok('tag', '--annotate', 'odd', '--message', 'odd');
    const odd = (await work.ok('rev-parse', 'refs/tags/odd')).trim();
    await work.run([
      'push',
      '--quiet',
      'origin',
      `${blob}:refs/heads/blob`,
      `${tree}:refs/heads/tree`,
      `${odd}:refs/heads/odd`,
    ]);
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/real');
    const { gate, project } = fixture;
    expect((await gate.publish(project, TASK)).map(({ branch }) => branch)).toEqual([`${TASK}/real`]);
    expect((await gate.closeTask(project, TASK)).map(({ head: id }) => id)).toContain(head);
    expect(
      [...(await refsOf(fixture.mirror)).keys()].filter((ref) => ref.startsWith(`refs/namespaces/${TASK}/`)),
    ).toEqual([]);
  });

  it("a forced push to main moves neither the gate's main nor upstream's, and is seen as the task's own (G5)", async () => {
    const upstreamBefore = await refsOf(fixture.upstream.bare);
    await work.ok('checkout', '--quiet', '--orphan', 'rewritten');
    const head = await work.commit('README.md', 'mine now\n');
    await work.ok('push', '--quiet', '--force', 'origin', 'HEAD:main');
    expect(await outside()).toEqual(before);
    expect(await refsOf(fixture.upstream.bare)).toEqual(upstreamBefore);
    expect(await fixture.mirror.head('refs/heads/main')).toBe(upstreamBefore.get('refs/heads/main'));
    expect(await fixture.mirror.head(`refs/heads/${TASK}/main`)).toBe(head);
  });

  it("deleted branches and tags, moved tags and refs of our own are the task's private view (G5)", async () => {
    const head = await work.commit('x.txt', 'x\n');
    await work.ok('push', '--quiet', 'origin', ':main', ':refs/tags/v1.0', ':release/1.x');
    await work.ok('tag', 'v2.0');
    await work.ok('tag', '--force', 'v1.0');
    await work.ok('push', '--quiet', '--force', 'origin', 'v1.0', 'v2.0');
    for (const ref of [
      'refs/terok/upstream/main',
      `refs/terok/opened/${OTHER}`,
      'refs/terok/archive/x/y',
      `refs/namespaces/${OTHER}/refs/heads/main`,
      `refs/namespaces/${OTHER}/refs/heads/secret-plan`,
      `refs/heads/${OTHER}/secret-plan`,
      'refs/notes/commits',
      'refs/pull/1/head',
    ]) {
      await work.ok('push', '--quiet', '--force', 'origin', `HEAD:${ref}`);
      expect([ref, await outside()]).toEqual([ref, before]);
    }
    expect(await outside()).toEqual(before);
    const own = await refsOf(fixture.mirror, `refs/heads/${TASK}`);
    expect([...own]).toEqual([[`refs/heads/${TASK}/${OTHER}/secret-plan`, head]]);
  });

  it('refuses ref names made to climb out (G5)', async () => {
    const main = await work.head('origin/main');
    for (const ref of [
      'HEAD',
      '../../heads/main',
      'refs/../../../heads/main',
      `refs/heads/../../../${OTHER}/refs/heads/main`,
      'refs/heads//x',
      '/etc/passwd',
      'refs/heads/x.lock',
      'config',
      'refs/heads/evil\u0007',
    ]) {
      await rawPush(access, { ref, to: main });
      expect([ref, await outside()]).toEqual([ref, before]);
    }
    expect(await rawPush(access, { ref: 'refs/heads/plain', to: main })).toContain('ok refs/heads/plain');
  });

  it('the same push without the namespace would have moved main: the guard is what stops it', async () => {
    const head = await work.commit('x.txt', 'x\n');
    await work.ok('push', '--quiet', '--force', fixture.gate.path(fixture.project), 'HEAD:main');
    expect((await outside()).get('refs/heads/main')).toBe(head);
  });

  it("a task neither sees another's branches nor can fetch them by name or commit id (G6)", async () => {
    for (const version of ['0', '2']) {
      const listed = await work.ok('-c', `protocol.version=${version}`, 'ls-remote', 'origin');
      expect(listed).toContain('refs/heads/main');
      expect(listed).not.toContain(otherHead);
      expect(listed).not.toMatch(/refs\/(?:namespaces|terok)|secret-plan/);
      for (const wanted of [
        'secret-plan',
        `${OTHER}/secret-plan`,
        `refs/namespaces/${OTHER}/refs/heads/secret-plan`,
        otherHead,
      ]) {
        const result = await work.run(['-c', `protocol.version=${version}`, 'fetch', 'origin', wanted]);
        expect([wanted, result.exitCode]).not.toEqual([wanted, 0]);
      }
    }
    expect((await work.run(['cat-file', '-e', otherHead])).exitCode).not.toBe(0);
  });

  it('what a push is answered with names no commit of another task (G6)', async () => {
    const response = await fetch(
      `http://127.0.0.1:${access.port}/demo.git/info/refs?service=git-receive-pack`,
      {
        headers: { authorization: `Basic ${Buffer.from(`${access.token}:`).toString('base64')}` },
      },
    );
    const text = await response.text();
    expect(text).toContain('refs/heads/main');
    expect(text).not.toContain(otherHead);
    // Namespaces alone would have told: everything outside is offered as ".have".
    const { stdout } = await execa(
      'git',
      ['receive-pack', '--http-backend-info-refs', fixture.gate.path(fixture.project)],
      { env: { GIT_NAMESPACE: TASK } },
    );
    expect(stdout).toContain(`${otherHead} .have`);
  });

  it('a branch goes and comes as it does for the task, and what a forced push drops is kept', async () => {
    await work.ok('checkout', '--quiet', '-b', 'fix');
    const first = await work.commit('a.txt', 'first\n');
    await work.ok('push', '--quiet', '-u', 'origin', 'HEAD');
    await work.ok('commit', '--quiet', '--amend', '--message', 'Second thoughts');
    const second = await work.head();
    await work.ok('push', '--quiet', '--force', 'origin', 'HEAD');
    expect(await fixture.mirror.head(`refs/heads/${TASK}/fix`)).toBe(second);
    expect([...(await refsOf(fixture.mirror, `refs/terok/backup/${TASK}`)).values()]).toEqual([first]);
    // A name that was a branch becomes a folder of branches.
    await work.ok('push', '--quiet', 'origin', ':fix');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/fix/deeper');
    expect([...(await refsOf(fixture.mirror, `refs/heads/${TASK}`)).keys()]).toEqual([
      `refs/heads/${TASK}/fix/deeper`,
    ]);
    expect(
      fixture.pushes
        .filter((push) => push.task === TASK)
        .flatMap((push) => push.updates.map(({ branch }) => branch)),
    ).toEqual([`${TASK}/fix`, `${TASK}/fix`, `${TASK}/fix`, `${TASK}/fix/deeper`]);
    expect(await outside()).toEqual(before);
  });

  it('a branch whose name would mislead a reader is not shown, and is kept when the task closes', async () => {
    const head = await work.commit('a.txt', 'a\n');
    const ref = 'refs/heads/fix\u202exif';
    expect(await rawPush(access, { ref, to: await work.head('origin/main') })).toContain('ok ');
    await work.ok('push', '--quiet', '--force', 'origin', `HEAD:${ref}`);
    expect(await fixture.gate.branches(fixture.project, TASK)).toEqual([]);
    const archived = await fixture.gate.closeTask(fixture.project, TASK);
    expect(archived).toEqual([{ ref: `refs/terok/archive/${TASK}/unnamed-${head.slice(0, 12)}`, head }]);
  });

  it('a client killed in the middle of a push leaves refs and repository whole', async () => {
    await work.ok('checkout', '--quiet', '-b', 'big');
    await writeFile(path.join(work.directory, 'big.bin'), randomBytes(4 * 1024 ** 2));
    const to = await work.commit('note.txt', 'note\n');
    const { stdout: pack } = await execa('git', ['pack-objects', '--revs', '--stdout', '-q'], {
      cwd: work.directory,
      input: `${to}\n^${await work.head('origin/main')}\n`,
      encoding: 'buffer',
    });
    const all = await refsOf(fixture.mirror);
    for (const share of [0.3, 0.9]) {
      const socket = beginPush(access, {
        ref: 'refs/heads/big',
        to,
        pack: Buffer.from(pack),
        sentBytes: Math.floor(pack.length * share),
      });
      await delay(300);
      socket.destroy();
    }
    await expect.poll(() => quarantines(fixture), { timeout: 10_000 }).toEqual([]);
    expect(await refsOf(fixture.mirror)).toEqual(all);
    expect(await fixture.mirror.run(['fsck', '--connectivity-only'])).toMatchObject({ exitCode: 0 });
    await work.ok('push', '--quiet', 'origin', 'big');
    expect(await fixture.mirror.head(`refs/heads/${TASK}/big`)).toBe(to);
  });

  it('a push whose client vanishes after sending it all is published nevertheless', async () => {
    const to = await work.head('origin/main');
    const pack = Buffer.concat([Buffer.from('PACK'), Buffer.from([0, 0, 0, 2, 0, 0, 0, 0])]);
    const whole = Buffer.concat([pack, createHash('sha1').update(pack).digest()]);
    const socket = beginPush(access, {
      ref: 'refs/heads/late',
      to,
      pack: whole,
      sentBytes: Number.POSITIVE_INFINITY,
    });
    await delay(20);
    socket.destroy();
    await expect
      .poll(async () => (await refsOf(fixture.mirror)).get(`refs/heads/${TASK}/late`), { timeout: 10_000 })
      .toBe(to);
  });

  it('twenty pushes at once all arrive', async () => {
    const heads = new Map<string, string>();
    for (let index = 0; index < 20; index++) {
      await work.ok('checkout', '--quiet', '-b', `b/${index}`, 'origin/main');
      heads.set(`b/${index}`, await work.commit(`f${index}.txt`, `${index}\n`));
    }
    const results = await Promise.all(
      [...heads.keys()].map((branch) => work.run(['push', '--quiet', 'origin', branch])),
    );
    expect(results.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    const published = await fixture.gate.branches(fixture.project, TASK);
    expect(new Map(published.map(({ branch, head }) => [branch.slice(TASK.length + 1), head]))).toEqual(
      heads,
    );
    expect(await outside()).toEqual(before);
  }, 180_000);
});

async function quarantines(fixture: GateFixture): Promise<readonly string[]> {
  const names = await readdir(path.join(fixture.gate.path(fixture.project), 'objects'));
  return names.filter((name) => name.startsWith('tmp_objdir'));
}
