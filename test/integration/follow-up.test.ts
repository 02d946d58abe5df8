import { createHash } from 'node:crypto';
import { access, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Task } from '../../src/runtime/tasks/contract.ts';
import { hasEnded } from '../../src/runtime/tasks/state.ts';
import { Terok } from '../support/runtime-host.ts';
import { steps, useSpeaker } from '../support/speaker-agent.ts';

let terok: Terok;
beforeAll(async () => {
  terok = await Terok.make();
  await useSpeaker(terok);
  // Builds the image with the agent once, before anything is timed.
  await terok.runtime.tasks.delete((await first()).id);
}, 300_000);
afterAll(() => terok[Symbol.asyncDispose]());

async function first(...lines: readonly string[]): Promise<Task> {
  const task = await terok.runtime.tasks.create({ project: 'demo', prompt: steps(...lines) });
  return await terok.ended(task.id, 240_000);
}

const runOf = async (task: string) => (await terok.runtime.tasks.report(task)).run;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const isThere = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

/** What a task that has ended may have open: nothing. */
async function openOf(task: Task) {
  const { services, networks } = terok.host.paths;
  const running = await terok.podman('ps', '--format={{.Names}}', `--filter=name=${task.container}`);
  return {
    services: await isThere(path.join(services, task.id)),
    network: (await readdir(networks)).includes(task.id),
    isRunning: running.trim() !== '',
  };
}
const NOTHING = { services: false, network: false, isRunning: false };

async function editProject(change: (text: string) => string): Promise<() => Promise<void>> {
  const { file } = await terok.runtime.projects.get('demo');
  const before = await readFile(file, 'utf8');
  await writeFile(file, change(before));
  return () => writeFile(file, before);
}

describe('a follow-up', () => {
  it('goes on in the same container, workspace, home and gate, and in the same conversation', async () => {
    const task = await first(
      'echo one > a.txt; echo draft > uncommitted.txt; echo kept > ~/note',
      'git add a.txt; git commit -qm One; git push -q origin HEAD:refs/heads/work',
      'exit 3',
    );
    expect(task).toMatchObject({ state: 'failed', exitCode: 3, failure: 'the agent ended with exit code 3' });
    const run = await runOf(task.id);
    expect(run).toMatchObject({ number: 1, exitCode: 3, failure: task.failure });
    const container = await terok.podman('inspect', '--format={{.Id}}', task.container);

    const again = await terok.followUp(
      task.id,
      steps(
        'say "$(cat a.txt uncommitted.txt ~/note | paste -sd,)"',
        'echo two > b.txt; git add b.txt; git commit -qm Two; git push -q origin HEAD:refs/heads/work',
      ),
    );
    expect(again).toMatchObject({ state: 'completed', exitCode: 0, failure: undefined, warnings: [] });
    expect(await terok.podman('inspect', '--format={{.Id}}', task.container)).toBe(container);
    const report = await terok.runtime.tasks.report(task.id);
    expect(report.run).toMatchObject({
      number: 2,
      exitCode: 0,
      failure: undefined,
      session: run?.session,
      summary: {
        result: 'success',
        session: run?.session,
        usage: { inputTokens: 10, outputTokens: 5, costUsd: 0.01 },
      },
    });
    expect(await terok.output(task.id)).toMatch(/resumed [0-9a-f]{64}[\s\S]*one,draft,kept/);
    expect(report.branches).toMatchObject([{ branch: `${task.id}/work`, ahead: 2 }]);
    expect(await openOf(task)).toEqual(NOTHING);
  });

  it('runs under the policy of now: settings, wrappers and configuration are read and written anew', async () => {
    const task = await first('say "$(cat /etc/terok/instructions.md)"');
    const undo = await editProject((text) => `${text}\nagent:\n  instructions: Say it in French.\n`);
    const again = await terok.followUp(task.id, steps('say "now: $(cat /etc/terok/instructions.md)"'));
    await undo();
    expect(again).toMatchObject({ state: 'completed', warnings: [] });
    expect(await terok.output(task.id)).toContain('now: Say it in French.');
  });

  it('gets a token of its own: that of the run before opens nothing any more', async () => {
    const seeToken = 'cp /run/terok/gate-token ~/token-$(date +%s%N)';
    const task = await first(seeToken);
    await terok.followUp(
      task.id,
      steps(
        seeToken,
        'old=$(cat "$(ls ~/token-* | head -n 1)")',
        'say "$(curl -s -o /dev/null -w "%{http_code}" -u "task:$old" "$CODE_REPO/info/refs?service=git-upload-pack")"',
        'say "$(curl -s -o /dev/null -w "%{http_code}" -u "task:$(cat /run/terok/gate-token)" "$CODE_REPO/info/refs?service=git-upload-pack")"',
      ),
    );
    const output = await terok.output(task.id);
    expect(output).toMatch(/^403$[\s\S]*^200$/m);
  });

  it('goes on in a new container where settings changed, says so, and keeps workspace and conversation', async () => {
    const task = await first('echo kept > kept.txt; echo gone > ~/note');
    const session = (await runOf(task.id))?.session;
    const undo = await editProject((text) => `${text}\nrun:\n  shutdown_timeout: 3\n`);
    const again = await terok.followUp(
      task.id,
      steps('say "$(cat kept.txt ~/note ~/.speaker/$session ~/.speaker/settings.json 2>&1 | paste -sd,)"'),
    );
    await undo();
    expect(again.warnings).toEqual([expect.stringContaining('in a new container')]);
    expect(await runOf(task.id)).toMatchObject({ session, number: 2, exitCode: 0 });
    expect(await terok.output(task.id)).toMatch(/kept,.*note: No such file.*,new,resumed,.*first/);
  });

  it('of a conversation that its agent does not know fails, says so, and "fresh" begins a new one', async () => {
    const task = await first('rm "$kept"');
    const lost = await terok.followUp(task.id, steps('say hello'));
    expect(lost).toMatchObject({
      state: 'failed',
      exitCode: 1,
      failure: expect.stringContaining('does not know the conversation'),
    });
    const before = (await runOf(task.id))?.session;
    const fresh = await terok.followUp(task.id, steps('say hello'), { fresh: true });
    expect(fresh).toMatchObject({ state: 'completed', failure: undefined, warnings: [] });
    const run = await runOf(task.id);
    expect(run?.session).not.toBe(before);
    const next = await terok.followUp(task.id, steps('say hello'));
    expect(next.state).toBe('completed');
    expect((await runOf(task.id))?.session).toBe(run?.session);
  });

  it('of a conversation that never began is a new one, and says so', async () => {
    const task = await terok.runtime.tasks.create({ project: 'demo', prompt: 'silent' });
    expect(await terok.ended(task.id)).toMatchObject({ state: 'failed', exitCode: 9 });
    expect((await runOf(task.id))?.summary.events).toBe(0);
    const again = await terok.followUp(task.id, steps('say hello'));
    expect(again.warnings).toEqual([expect.stringContaining('a new one')]);
    expect(again.state).toBe('completed');
  });

  it('is refused while the task runs, and in a mode that takes no prompt', async () => {
    const task = await terok.runtime.tasks.create({ project: 'demo', prompt: steps('sleep 30') });
    await expect(terok.followUp(task.id, 'more')).rejects.toMatchObject({ code: 'CONFLICT' });
    await terok.runtime.tasks.stop(task.id);
    const interactive = await terok.ready((await terok.runtime.tasks.create({ project: 'demo' })).id);
    await terok.runtime.tasks.stop(interactive.id);
    await expect(terok.followUp(interactive.id, 'more')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('interactive'),
    });
  });

  it('that fails leaves the ended task as it was, with nothing open, and works once the cause is mended', async () => {
    const task = await first('echo kept > kept.txt; exit 4');
    const run = await runOf(task.id);
    const undo = await editProject((text) => `${text}\nrun:\n  gpus: nvidia:7\n`);
    await expect(terok.followUp(task.id, steps('say hello'))).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
    });
    await undo();
    expect(terok.runtime.tasks.get(task.id)).toEqual(task);
    expect(await runOf(task.id)).toEqual(run);
    expect(await openOf(task)).toEqual(NOTHING);
    expect((await terok.followUp(task.id, steps('cat kept.txt'))).state).toBe('completed');
  });

  it('that is cancelled leaves the ended task as it was', async () => {
    const task = await first();
    const cancel = new AbortController();
    const following = terok.runtime.tasks.followUp({ task: task.id, prompt: 'x' }, cancel.signal);
    following.catch(() => undefined);
    while (terok.runtime.tasks.get(task.id).state !== 'restarting') await delay(1);
    cancel.abort();
    await expect(following).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(terok.runtime.tasks.get(task.id)).toEqual(task);
    expect(await openOf(task)).toEqual(NOTHING);
  });

  it('goes on when the daemon ends; the next one records exit code, summary and conversation', async () => {
    const task = await first();
    await terok.runtime.tasks.followUp({
      task: task.id,
      prompt: steps('sleep 3', 'say survived', 'return 5'),
    });
    await terok.restart();
    await terok.runtime.ready;
    expect(await terok.ended(task.id)).toMatchObject({ state: 'failed', exitCode: 5 });
    expect(await runOf(task.id)).toMatchObject({
      number: 2,
      exitCode: 5,
      summary: { result: 'success', usage: { inputTokens: 10 } },
    });
  });

  it('that ended while no daemon ran is recorded all the same', async () => {
    const task = await first();
    await terok.runtime.tasks.followUp({ task: task.id, prompt: steps('return 6') });
    await terok.runtime[Symbol.asyncDispose]();
    await delay(4_000);
    await terok.restart();
    await terok.runtime.ready;
    expect(await terok.ended(task.id)).toMatchObject({
      state: 'failed',
      exitCode: 6,
      failure: 'the agent ended with exit code 6',
    });
    expect((await runOf(task.id))?.summary).toMatchObject({ result: 'success' });
  });
});

describe('a prompt', () => {
  it.each<[string, string]>([
    ['of one megabyte', `${'0123456789abcde\n'.repeat(65_536)}`],
    [
      'with quotes, a leading dash and substitutions',
      `-n --help "a" 'b' \`id\` $(touch /tmp/pwned) \\ %s\n\n`,
    ],
    ['without a newline at its end', '\n\n  x'],
  ])('%s arrives byte for byte, at first and in a follow-up', async (_, prompt) => {
    const task = await terok.runtime.tasks.create({ project: 'demo', prompt });
    expect((await terok.ended(task.id)).state).toBe('completed');
    const again = await terok.followUp(task.id, prompt);
    expect(again.state).toBe('completed');
    const output = await terok.output(task.id);
    expect(output).toContain(`new ${sha256(prompt)}`);
    expect(output).toContain(`resumed ${sha256(prompt)}`);
  });
});

describe('a headless task that is restarted', () => {
  it('does its last run anew, in a new conversation', async () => {
    const task = await first('say "$(wc -l < "$kept") before"');
    const { session } = (await runOf(task.id)) ?? {};
    await terok.runtime.tasks.restart(task.id);
    const ended = await terok.runtime.tasks.waitFor(task.id, { until: hasEnded, waitMs: 30_000 });
    expect(ended.state).toBe('completed');
    const run = await runOf(task.id);
    expect(run).toMatchObject({ number: 2, exitCode: 0 });
    expect(run?.session).not.toBe(session);
    expect((await terok.output(task.id)).match(/new [0-9a-f]{64}/g)).toHaveLength(2);
  });
});
