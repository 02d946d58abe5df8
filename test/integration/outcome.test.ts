import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Task } from '../../src/runtime/tasks/contract.ts';
import { hasEnded } from '../../src/runtime/tasks/state.ts';
import { podmanEngine } from '../support/host.ts';
import { Terok } from '../support/runtime-host.ts';
import { steps, useSpeaker } from '../support/speaker-agent.ts';

let terok: Terok;
beforeAll(async () => {
  terok = await Terok.make();
  await useSpeaker(terok);
  await terok.runtime.tasks.delete((await run(240_000)).id);
}, 300_000);
afterAll(() => terok[Symbol.asyncDispose]());

const start = (...lines: readonly string[]) =>
  terok.runtime.tasks.create({ project: 'demo', prompt: steps(...lines) });

async function run(waitMs: number, ...lines: readonly string[]): Promise<Task> {
  return await terok.ended((await start(...lines)).id, waitMs);
}

describe('an agent that exits with 0', () => {
  it.each([
    ['after its own word that it failed', 'result failure', 'the agent says itself that it failed'],
    [
      'without a word on how it ended',
      'result none',
      'the agent broke off without saying how its work ended',
    ],
    ['without a tool that it needed', 'denied Bash', 'the agent was not let use a tool that it needed'],
  ])('%s has failed', async (_, step, failure) => {
    expect(await run(30_000, step)).toMatchObject({ state: 'failed', exitCode: 0, failure });
  });

  it('after tries that led to something in the end is completed', async () => {
    const task = await run(30_000, 'for i in {1..9}; do retry; done', 'say "there you are"');
    expect(task).toMatchObject({ state: 'completed', exitCode: 0 });
    expect((await terok.runtime.tasks.report(task.id)).run?.summary).toMatchObject({ retries: 0 });
  });
});

describe('how a run was ended is told apart', () => {
  it('for one that only tries again: it is stopped, long before its time is over', async () => {
    const task = await run(30_000, 'for i in {1..30}; do retry; sleep 0.05; done', 'sleep 600');
    expect(task).toMatchObject({
      state: 'failed',
      exitCode: expect.any(Number),
      failure: expect.stringMatching(/^its model could not be used \(HTTP 529\)/),
    });
    const report = await terok.runtime.tasks.report(task.id);
    expect(report.run).toMatchObject({ failure: task.failure, exitCode: task.exitCode });
    expect(report.run?.summary.retries).toBeGreaterThan(10);
  });

  it('for the time limit', async () => {
    const task = await terok.runtime.tasks.create({
      project: 'demo',
      prompt: steps('sleep 60'),
      timeoutS: 1,
    });
    expect(await terok.ended(task.id)).toMatchObject({
      state: 'failed',
      exitCode: 124,
      failure: 'it did not finish within its time limit',
    });
  });

  it('for a cancel', async () => {
    const task = await terok.ready((await start('sleep 60')).id);
    expect(await terok.runtime.tasks.stop(task.id)).toMatchObject({ state: 'stopped', failure: undefined });
    expect((await terok.runtime.tasks.report(task.id)).run).toMatchObject({
      failure: 'it was stopped',
      endedAt: expect.any(String),
    });
  });

  it('for a kill from outside', async () => {
    const task = await terok.ready((await start('say hello', 'sleep 60')).id);
    await terok.podman('kill', '--signal=KILL', task.container);
    expect(await terok.ended(task.id)).toMatchObject({
      state: 'failed',
      exitCode: 137,
      failure: 'it was killed from outside',
    });
  });

  it('for memory, where the host can limit it; elsewhere the doctor says so', async () => {
    const { limitsUnavailable } = await podmanEngine(terok.host.paths).info();
    if (limitsUnavailable !== undefined) {
      const findings = await terok.runtime.doctor.examine();
      expect(findings.some(({ level, message }) => level === 'warn' && /limit/i.test(message))).toBe(true);
      return;
    }
    const { file } = await terok.runtime.projects.get('demo');
    const before = await readFile(file, 'utf8');
    await writeFile(file, `${before}\nrun:\n  memory: 64m\n`);
    try {
      const task = await run(30_000, 'say "taking all of it"', 'tail /dev/zero');
      expect(task).toMatchObject({
        state: 'failed',
        exitCode: 137,
        failure: 'it used more memory than its limit and was killed',
      });
    } finally {
      await writeFile(file, before);
    }
  });

  it('for a container that somebody removed', async () => {
    const task = await terok.ready((await start('sleep 60')).id);
    await terok.podman('rm', '--force', '--time=0', task.container);
    expect(await terok.ended(task.id)).toMatchObject({
      state: 'failed',
      failure: 'its container was removed from outside',
    });
  });
});

describe('a running run', () => {
  it('tells its conversation and what it came to so far', async () => {
    const task = await terok.ready((await start('say "at work"', 'sleep 60')).id);
    await expect
      .poll(async () => (await terok.runtime.tasks.report(task.id)).run?.summary.lastMessage)
      .toBe('at work');
    const { run: current } = await terok.runtime.tasks.report(task.id);
    expect(current).toMatchObject({ number: 1, endedAt: undefined, session: current?.summary.session });
    await terok.runtime.tasks.stop(task.id);
  });

  it('wakes whoever waits when its agent says that it is blocked, and not before', async () => {
    const file = '/home/dev/.terok/work-status.yml';
    const task = await terok.ready(
      (
        await start(
          `printf 'status: coding\\nmessage: at it\\n' > ${file}`,
          'sleep 4',
          `printf 'status: blocked\\nmessage: which branch?\\n' > ${file}`,
          'sleep 60',
        )
      ).id,
    );
    const startedAt = performance.now();
    const woken = await terok.runtime.tasks.waitFor(task.id, {
      until: hasEnded,
      waitMs: 30_000,
      orWorkStatus: true,
    });
    expect(woken.state).toBe('running');
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect((await terok.runtime.tasks.report(task.id)).workStatus).toMatchObject({
      status: 'blocked',
      message: 'which branch?',
    });
    await terok.runtime.tasks.stop(task.id);
  });
});

describe('what an agent puts in the place of its work status', () => {
  it.each([
    ['a link to a file of the host', 'ln -s SECRET work-status.yml'],
    ['a FIFO', 'mkfifo work-status.yml'],
    ['a directory', 'mkdir work-status.yml'],
    ['a gigabyte', 'truncate -s 1G work-status.yml'],
  ])('is refused when it is %s, at once, and nothing of the host is read', async (_, step) => {
    const secret = path.join(terok.host.directory, 'secret.yml');
    await writeFile(secret, 'status: done\nmessage: of the host\n');
    const task = await run(30_000, `cd ~/.terok; ${step.replace('SECRET', secret)}`);
    const startedAt = performance.now();
    const report = await terok.runtime.tasks.report(task.id);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(report.workStatus).toBeUndefined();
    expect(report.workStatusProblem).toEqual(expect.any(String));
    expect(JSON.stringify(report)).not.toContain('of the host');
    expect(await readFile(secret, 'utf8')).toBe('status: done\nmessage: of the host\n');
    // The next run is not in the way of it either.
    expect((await terok.followUp(task.id, steps('say hello'))).state).toBe('completed');
  });
});
