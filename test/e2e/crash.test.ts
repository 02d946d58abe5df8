import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectAsItWas, expectNothingMade, expectRunKept, steps } from '../support/cut-off.ts';
import { eventually, nothingLeft, Shipped } from '../support/shipped.ts';

let shipped: Shipped;
beforeAll(async () => {
  shipped = await Shipped.make();
});
afterAll(() => shipped[Symbol.asyncDispose]());

describe('kill -9 of the daemon while it creates a task', () => {
  it.each(['create:intent-written', 'create:shield-raised', 'create:container-started'])(
    'at %s leaves nothing behind after the next start (L1)',
    (checkpoint) => expectNothingMade(shipped, checkpoint),
  );

  it('after the task was committed keeps it: the next daemon takes it over', async () => {
    if ((await shipped.daemonPid()) !== undefined) await shipped.killDaemon();
    const doomed = await shipped.connect('auto', { TEROK_TEST_CRASH_AT: 'create:committed' });
    await expect(doomed.call('create_task', { project: 'demo' })).rejects.toThrow();
    const client = await shipped.connect();
    const list = await client.call('list_tasks');
    const [task] = Array.isArray(list.object?.['tasks']) ? list.object['tasks'] : [];
    const status = await eventually(
      () => client.call('task_status', { task: task.task }),
      ({ object }) => object?.['state'] === 'running',
    );
    expect(status.object).toMatchObject({ state: 'running' });
    expect((await client.call('shield_status', { task: task.task })).object).toMatchObject({ state: 'up' });
    await client.call('delete_task', { task: task.task });
    expect(await shipped.leftovers()).toEqual(nothingLeft);
  });
});

describe('kill -9 of the daemon while it starts a task again', () => {
  it('before its container runs leaves it as it was, with nothing open, and says that its run was cut off (L1)', async () => {
    await expectAsItWas(shipped, 'restart:services-listening');
  });

  it('after its container has run and ended records the exit code all the same', async () => {
    await expectRunKept(shipped, 'restart:container-started', 'say quick');
  });
});

describe('kill -9 of the daemon during a run', () => {
  it('the agent goes on; the next daemon records exit code, log and branch', async () => {
    const client = await shipped.connect();
    const { object } = await client.call('run_headless', {
      project: 'demo',
      prompt: steps(
        'write kept.txt work',
        'commit Work',
        'run git push -q origin HEAD:refs/heads/kept',
        'say pushed',
        'sleep 4',
        'say survived the daemon',
        'exit 5',
      ),
    });
    const task = String(object?.['task']);
    await eventually(
      () => client.call('task_logs', { task }),
      ({ text }) => text.includes('pushed'),
    );
    await shipped.killDaemon();
    await delay(5_000);
    expect(await shipped.daemonPid()).toBeUndefined();

    const next = await shipped.connect();
    const status = await eventually(
      () => next.call('task_status', { task }),
      ({ object: seen }) => seen?.['state'] === 'failed',
    );
    expect(status.object).toMatchObject({ state: 'failed', exit_code: 5 });
    expect(JSON.stringify(status.object)).toContain(`${task}/kept`);
    expect((await next.call('task_logs', { task })).text).toContain('survived the daemon');
    await next.call('delete_task', { task });
  });

  it('whoever watches sees every line once, starts the next daemon, and gets the exit code', async () => {
    const lines = Array.from({ length: 12 }, (_, index) => `line ${index}`);
    const prompt = steps(...lines.flatMap((line) => [`say ${line}`, 'sleep 0.5']), 'exit 5');
    const watching = shipped.spawn(['run', 'scripted', '--project', 'demo', '-p', prompt]);
    const ended = new Promise((resolve) => watching.once('close', resolve));
    const said = { stdout: '', stderr: '' };
    watching.stdout?.on('data', (chunk) => (said.stdout += String(chunk)));
    watching.stderr?.on('data', (chunk) => (said.stderr += String(chunk)));
    await eventually(
      async () => said.stdout,
      (stdout) => stdout.includes('line 3'),
    );
    const daemon = await shipped.daemonPid();
    if (daemon === undefined) throw new Error('no daemon runs');
    process.kill(daemon, 'SIGKILL');
    expect([await ended, said.stderr]).toEqual([5, expect.stringContaining('the daemon went away')]);
    expect(said.stdout.split('\n').filter((line) => line.startsWith('line '))).toEqual(lines);
    const [, task = ''] = /^Task (\w{5})/m.exec(said.stderr) ?? [];
    await shipped.run(['task', 'delete', task]);
  });

  it('an agent that pushes while there is a new daemon is served by it', async () => {
    const client = await shipped.connect();
    const { object } = await client.call('run_headless', {
      project: 'demo',
      prompt: steps(
        'write late.txt work',
        'commit Late work',
        'say waiting',
        'sleep 4',
        'run git push -q origin HEAD:refs/heads/late',
      ),
    });
    const task = String(object?.['task']);
    await eventually(
      () => client.call('task_logs', { task }),
      ({ text }) => text.includes('waiting'),
    );
    await shipped.killDaemon();
    const next = await shipped.connect();
    const status = await eventually(
      () => next.call('task_status', { task, wait_s: 10 }),
      ({ object: seen }) => seen?.['state'] === 'completed',
      30_000,
    );
    expect(status.object).toMatchObject({ state: 'completed', exit_code: 0 });
    expect(JSON.stringify(status.object)).toContain(`${task}/late`);
    await next.call('delete_task', { task });
  });
});

it('the client may be killed with its front end: the task goes on and the daemon stays', async () => {
  const before = await shipped.connect();
  const daemon = await shipped.daemonPid();
  const frontEnd = shipped.spawn(['stdio']);
  const request = (id: number, method: string, params: object) =>
    frontEnd.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
  request(1, 'initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'doomed', version: '1' },
  });
  frontEnd.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`);
  const prompt = steps('sleep 3', 'say done without a client');
  request(2, 'tools/call', { name: 'run_headless', arguments: { project: 'demo', name: 'orphan', prompt } });
  const orphan = await eventually(
    async () => {
      const { object } = await before.call('list_tasks');
      const tasks: readonly { task: string; name: string }[] = Array.isArray(object?.['tasks'])
        ? object['tasks']
        : [];
      return tasks.find(({ name }) => name === 'orphan')?.task;
    },
    (task) => task !== undefined,
  );
  frontEnd.kill('SIGKILL');
  const status = await eventually(
    () => before.call('task_status', { task: orphan, wait_s: 10 }),
    ({ object: seen }) => seen?.['state'] === 'completed',
    30_000,
  );
  expect(status.object).toMatchObject({ state: 'completed', exit_code: 0 });
  expect(await shipped.daemonPid()).toBe(daemon);
  await before.call('delete_task', { task: orphan });
});
