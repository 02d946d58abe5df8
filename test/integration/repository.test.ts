import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refsOf } from '../support/git-fixtures.ts';
import { Terok } from '../support/runtime-host.ts';

let terok: Terok;
beforeAll(async () => {
  terok = await Terok.make();
});
afterAll(() => terok[Symbol.asyncDispose]());

const prompt = (...steps: readonly string[]) => steps.join('\n');

describe('a repository without a project', () => {
  it('is cloned, worked on and pushed to the gate as a project would be, and never touched itself (G1)', async () => {
    const repo = terok.upstream.url;
    const before = await refsOf(terok.upstream.bare);
    const task = await terok.runtime.tasks.create({
      repo,
      prompt: prompt('write new.txt work', 'commit Work', 'run git push -q origin HEAD:refs/heads/work'),
    });
    expect(await terok.ended(task.id)).toMatchObject({ state: 'completed', exitCode: 0 });
    expect(task.project).toMatch(/^repo-/);
    expect((await terok.runtime.tasks.report(task.id)).branches).toMatchObject([{ ahead: 1 }]);
    expect(await refsOf(terok.upstream.bare)).toEqual(before);
    // The same repository is the same to us the next time, and a follow-up finds it by its task.
    const again = await terok.followUp(task.id, prompt('run cat new.txt', 'exit 3'));
    expect(again).toMatchObject({ state: 'failed', exitCode: 3, project: task.project });
    const second = await terok.runtime.tasks.create({ repo });
    expect(second.project).toBe(task.project);
    await terok.runtime.tasks.delete(second.id);
  });

  it('that cannot be had is refused, and nothing is left', async () => {
    const count = terok.runtime.tasks.list().length;
    for (const repo of ['relative/path', 'ext::sh -c id', '/nonexistent/repo.git'])
      await expect(terok.runtime.tasks.create({ repo, prompt: 'say hello' })).rejects.toMatchObject({
        code: expect.stringMatching(/^(?:INVALID_INPUT|COMMAND_FAILED)$/),
      });
    expect(terok.runtime.tasks.list()).toHaveLength(count);
  });
});

describe('a task', () => {
  it('starts on the branch that was asked for, at first and again', async () => {
    const { work } = terok.upstream;
    await work.ok('checkout', '--quiet', '-b', 'side');
    await work.commit('side.txt', 'side');
    await work.ok('push', '--quiet', 'origin', 'side');
    const task = await terok.runtime.tasks.create({
      project: 'demo',
      branch: 'side',
      prompt: prompt('run git branch --show-current; cat side.txt'),
    });
    expect(await terok.ended(task.id)).toMatchObject({ state: 'completed', baseBranch: 'side' });
    const again = await terok.followUp(task.id, prompt('run echo "on $(git branch --show-current)"'));
    expect(again).toMatchObject({ state: 'completed', baseBranch: 'side' });
    expect(await terok.output(task.id)).toContain('on side');
    await expect(
      terok.runtime.tasks.create({ project: 'demo', branch: 'sidee', prompt: 'say x' }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND', hint: expect.stringContaining('side') });
  });

  it('without the gate can clone and fetch, and push nothing, at first and again', async () => {
    const steps = prompt(
      'run git fetch -q origin && echo fetched',
      'write x.txt x',
      'commit X',
      'try git push origin HEAD:refs/heads/x 2>&1',
    );
    const task = await terok.runtime.tasks.create({ project: 'demo', gate: false, prompt: steps });
    expect(await terok.ended(task.id)).toMatchObject({ state: 'completed' });
    await terok.followUp(
      task.id,
      prompt('run git fetch -q origin && echo fetched', 'try git push origin HEAD:refs/heads/x 2>&1'),
    );
    const output = await terok.output(task.id);
    expect(output.match(/^fetched$/gm)).toHaveLength(2);
    expect(output.match(/tried, exit code (?!0)\d+/g)).toHaveLength(2);
    expect((await terok.runtime.tasks.report(task.id)).branches).toEqual([]);
  });
});
