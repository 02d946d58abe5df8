import { readdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refsOf } from '../support/git-fixtures.ts';
import { Terok } from '../support/runtime-host.ts';

let terok: Terok;
beforeAll(async () => {
  terok = await Terok.make();
});
afterAll(() => terok[Symbol.asyncDispose]());

describe('a headless task', () => {
  it('does its work, pushes to its own namespace, and moves nothing else (G1, G5)', async () => {
    const upstreamBefore = await refsOf(terok.upstream.bare);
    const task = await terok.runSteps([
      'write hello.txt Hello from inside',
      'commit Say hello',
      'run git push -q -u origin HEAD:refs/heads/fix/hello',
      'run git push --force origin HEAD:main',
      'run git push origin HEAD:refs/terok/upstream/main HEAD:refs/tags/v1.0-moved',
    ]);
    const output = await terok.output(task.id);
    expect(output).toContain('>> init complete');
    expect({ state: task.state, exitCode: task.exitCode, output }).toEqual({
      state: 'completed',
      exitCode: 0,
      output,
    });
    expect(await refsOf(terok.upstream.bare)).toEqual(upstreamBefore);
    const gate = terok.upstream.bare.in(`${terok.host.paths.gates}/demo.git`);
    const refs = await refsOf(gate);
    expect(refs.get('refs/heads/main')).toBe(upstreamBefore.get('refs/heads/main'));
    expect(refs.get('refs/terok/upstream/main')).toBe(upstreamBefore.get('refs/heads/main'));
    expect(refs.has('refs/tags/v1.0-moved')).toBe(false);
    const report = await terok.runtime.tasks.report(task.id);
    expect(report.branches.map(({ branch }) => branch).sort()).toEqual([
      `${task.id}/fix/hello`,
      `${task.id}/main`,
    ]);
    const diff = await terok.runtime.review.diff({ project: 'demo', branch: `${task.id}/fix/hello` });
    expect(diff).toMatchObject({ commitCount: 1, files: [{ path: 'hello.txt', added: 1, removed: 0 }] });
  });

  it('that fails says how', async () => {
    const task = await terok.runSteps(['say about to fail', 'exit 7']);
    expect(task).toMatchObject({ state: 'failed', exitCode: 7, failure: 'the agent ended with exit code 7' });
  });

  it('that takes too long is ended, with its own exit code', async () => {
    const task = await terok.runtime.tasks.create({ project: 'demo', prompt: 'sleep 60', timeoutS: 1 });
    expect(await terok.ended(task.id)).toMatchObject({
      state: 'failed',
      exitCode: 124,
      failure: 'it did not finish within its time limit',
    });
  });

  it('gets its prompt byte for byte', async () => {
    const prompt = [
      '# quotes " \' $(touch /tmp/pwned) `id` \\',
      'say -n --leading',
      'try wc -c < /run/terok/prompt',
      'try sha256sum /run/terok/prompt',
    ].join('\n');
    const { createHash } = await import('node:crypto');
    const task = await terok.runSteps([prompt]);
    expect(await terok.output(task.id)).toContain(createHash('sha256').update(prompt).digest('hex'));
  });

  it('is refused by its network from its first instruction, and every refusal becomes one event (N1, N14)', async () => {
    const task = await terok.runSteps([
      'connect 203.0.113.7 443',
      'connect 169.254.169.254 80',
      'connect 10.0.0.1 22',
      'connect 203.0.113.7 443',
    ]);
    const output = await terok.output(task.id);
    expect(output.match(/refused/g)).toHaveLength(4);
    const report = await terok.runtime.egress.status(task.id);
    expect(report.refused.map(({ address, port }) => `${address}:${port}`).sort()).toEqual([
      '10.0.0.1:22',
      '169.254.169.254:80',
      '203.0.113.7:443',
    ]);
    expect(report.state).toBe('down');
  });
});

describe('an interactive task', () => {
  it('runs until it is stopped, and can be deleted with its unpromoted work archived', async () => {
    const created = await terok.runtime.tasks.create({ project: 'demo' });
    const task = await terok.ready(created.id);
    expect(task).toMatchObject({ state: 'running', mode: 'interactive' });
    await terok.exec(
      task,
      'cd /workspace && echo more >> README.md && git commit -qam "More" && git push -q origin HEAD:refs/heads/kept',
    );
    const stopped = await terok.runtime.tasks.stop(task.id);
    expect(stopped.state).toBe('stopped');
    const { archived } = await terok.runtime.tasks.delete(task.id);
    expect(archived).toEqual([`refs/terok/archive/${task.id}/kept`]);
    expect(() => terok.runtime.tasks.get(task.id)).toThrow('no task');
    expect(await terok.containers()).not.toContain(task.container);
    const refs = [...(await refsOf(terok.upstream.bare.in(`${terok.host.paths.gates}/demo.git`))).keys()];
    expect(refs.filter((ref) => ref.includes(task.id))).toEqual([`refs/terok/archive/${task.id}/kept`]);
  });

  it('stops within its grace period', async () => {
    const task = await terok.ready((await terok.runtime.tasks.create({ project: 'demo' })).id);
    const startedAt = performance.now();
    await terok.runtime.tasks.stop(task.id);
    expect(performance.now() - startedAt).toBeLessThan(8_000);
  });
});

describe('a promotion', () => {
  it('moves exactly the reviewed commit, after a person said so, and never a commit that moved', async () => {
    const task = await terok.runSteps([
      'write feature.txt one',
      'commit Add the feature',
      'run git push -q origin HEAD:refs/heads/feature',
    ]);
    const branch = `${task.id}/feature`;
    const { head } = await terok.runtime.review.diff({ project: 'demo', branch });
    await expect(
      terok.runtime.review.promote({
        project: 'demo',
        branch,
        head: `${head.slice(0, 39)}${head.endsWith('0') ? 1 : 0}`,
      }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(
      terok.runtime.review.promote({ project: 'demo', branch, head: head.slice(0, 12) }),
    ).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    const outcome = await terok.runtime.review.promote({ project: 'demo', branch, head });
    if (outcome.outcome !== 'awaiting_approval') throw new Error('promoted without a word');
    expect((await refsOf(terok.upstream.bare)).has('refs/heads/feature')).toBe(false);
    await terok.runtime.approvals.approve(outcome.approval, 'test');
    expect((await refsOf(terok.upstream.bare)).get('refs/heads/feature')).toBe(head);
    await expect(terok.runtime.approvals.approve(outcome.approval, 'test')).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    expect(await terok.runtime.review.promote({ project: 'demo', branch, head })).toMatchObject({
      outcome: 'promoted',
      head,
    });
  });
});

describe('a restart of the daemon', () => {
  it('with a project file that is broken just then leaves the running task alone, and serves it once it is mended', async () => {
    const task = await terok.ready((await terok.runtime.tasks.create({ project: 'demo' })).id);
    const { file } = await terok.runtime.projects.get('demo');
    const whole = await readFile(file, 'utf8');
    await writeFile(file, `${whole}\n\t: broken`);
    await terok.restart();
    await terok.runtime.ready;
    expect(terok.runtime.tasks.get(task.id).state).toBe('running');
    expect((await terok.runtime.egress.status(task.id)).state).toBe('up');
    await writeFile(file, whole);
    await terok.restart();
    await terok.runtime.ready;
    expect((await terok.exec(task, 'git ls-remote origin HEAD | wc -l')).stdout.trim()).toBe('1');
    await terok.runtime.tasks.delete(task.id);
  });

  it('in the middle of a creation ends that creation whole', async () => {
    const before = new Set(terok.runtime.tasks.list().map(({ id }) => id));
    const starting = terok.runtime.tasks.create({ project: 'demo' }).catch((error: unknown) => error);
    while (terok.runtime.tasks.list().length === before.size) await delay(1);
    await terok.restart();
    await terok.runtime.ready;
    expect(await starting).toMatchObject({ code: 'CANCELLED' });
    expect(terok.runtime.tasks.list().filter(({ id }) => !before.has(id))).toEqual([]);
    expect((await readdir(terok.host.paths.networks)).filter((name) => !name.endsWith('.log'))).toEqual([]);
  });
});

it('twenty tasks started at once all end as they should', { timeout: 180_000 }, async () => {
  const tasks = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      terok.runtime.tasks.create({
        project: 'demo',
        prompt: [
          `write n.txt ${index}`,
          `commit Number ${index}`,
          'run git push -q origin HEAD:refs/heads/n',
          `exit ${index % 3}`,
        ].join('\n'),
      }),
    ),
  );
  const ended = await Promise.all(tasks.map(({ id }) => terok.ended(id, 150_000)));
  expect(ended.map(({ state, exitCode }) => [state, exitCode])).toEqual(
    tasks.map((_, index) => [index % 3 === 0 ? 'completed' : 'failed', index % 3]),
  );
  for (const { id } of ended) {
    expect((await terok.runtime.review.branches('demo', id)).map(({ branch }) => branch)).toEqual([
      `${id}/n`,
    ]);
  }
  await Promise.all(ended.map(({ id }) => terok.runtime.tasks.delete(id)));
});

it.each([
  ['while it is being made', 0],
  ['just after it was made', 400],
  ['while it runs', 1_500],
])(
  'start, stop and delete of one task at the same moment, %s, leave one clean winner (L8)',
  async (_, afterMs) => {
    const before = new Set(terok.runtime.tasks.list().map(({ id }) => id));
    const starting = terok.runtime.tasks.create({ project: 'demo' });
    starting.catch(() => undefined);
    const mine = () => terok.runtime.tasks.list().find(({ id }) => !before.has(id));
    for (let task = mine(); task === undefined; task = mine()) await delay(1);
    const task = mine();
    if (task === undefined) throw new Error('the task was gone before it was raced');
    await delay(afterMs);
    const results = await Promise.allSettled([
      starting,
      terok.runtime.tasks.stop(task.id),
      terok.runtime.tasks.delete(task.id),
      terok.runtime.tasks.stop(task.id),
      terok.runtime.tasks.delete(task.id),
    ]);
    for (const result of results) {
      if (result.status === 'rejected')
        expect(['NOT_FOUND', 'CONFLICT', 'CANCELLED']).toContain(result.reason.code);
    }
    expect(() => terok.runtime.tasks.get(task.id)).toThrow('no task');
    expect(await terok.containers()).not.toContain(task.container);
    expect(await readdir(terok.host.paths.networks)).not.toContain(task.id);
    expect(await readdir(terok.host.paths.services)).not.toContain(task.id);
  },
);
