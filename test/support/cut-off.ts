import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { expect } from 'vitest';
import { eventually, nothingLeft, type Shipped } from './shipped.ts';

export const steps = (...lines: readonly string[]): string => lines.join('\n');

/** What the state database says of a task's newest run. */
export function lastRun(shipped: Shipped, task: string): unknown {
  const database = new Database(shipped.host.paths.database, { readonly: true });
  try {
    return database
      .prepare('SELECT exit_code, failure FROM runs WHERE task = ? ORDER BY id DESC LIMIT 1')
      .get(task);
  } finally {
    database.close();
  }
}

/** A task that ended with exit code 3, and a daemon that died at this point of a follow-up. */
export async function cutOffAt(shipped: Shipped, checkpoint: string, prompt: string): Promise<string> {
  const client = await shipped.connect();
  const { object } = await client.call('run_headless', {
    project: 'demo',
    prompt: steps('write kept.txt work', 'exit 3'),
    wait_s: 45,
  });
  expect(object).toMatchObject({ state: 'failed', exit_code: 3 });
  const task = String(object?.['task']);
  await client.close();
  await shipped.killDaemon();
  const doomed = await shipped.connect('auto', { TEROK_TEST_CRASH_AT: checkpoint });
  await expect(doomed.call('follow_up', { task, prompt })).rejects.toThrow();
  await doomed.close().catch(() => undefined);
  expect(await shipped.daemonPid()).toBeUndefined();
  return task;
}

/** The next daemon leaves the task as it was, and it can be given its prompt again. */
export async function expectAsItWas(shipped: Shipped, checkpoint: string): Promise<void> {
  const task = await cutOffAt(shipped, checkpoint, steps('exit 4'));
  const client = await shipped.connect();
  const status = await eventually(
    () => client.call('task_status', { task }),
    ({ object }) => object?.['state'] === 'failed',
  );
  expect(status.object).toMatchObject({
    state: 'failed',
    exit_code: 3,
    run: { number: 2 },
    warning: expect.stringContaining('cut off before it began'),
  });
  expect(lastRun(shipped, task)).toEqual({ exit_code: null, failure: 'it was cut off before it began' });
  const left = await shipped.leftovers();
  const { pins, processes, services, tokens } = left;
  expect({ pins, processes, services, tokens }).toEqual({
    pins: [],
    processes: [],
    services: [],
    tokens: [],
  });
  const { object: again } = await client.call('follow_up', {
    task,
    prompt: steps('run cat kept.txt', 'exit 5'),
    wait_s: 45,
  });
  expect(again).toMatchObject({ state: 'failed', exit_code: 5 });
  await client.call('delete_task', { task });
  expect(await shipped.leftovers()).toEqual(nothingLeft);
  await client.close();
}

/** The next daemon knows how the run ended, which went on or had ended when it came. */
export async function expectRunKept(shipped: Shipped, checkpoint: string, step: string): Promise<void> {
  const task = await cutOffAt(
    shipped,
    checkpoint,
    steps(step, 'run git push -q origin HEAD:refs/heads/late || true', 'exit 7'),
  );
  // The quick one has ended before anybody looks.
  if (step !== 'sleep 3') await delay(4_000);
  const client = await shipped.connect();
  const status = await eventually(
    () => client.call('task_status', { task }),
    ({ object }) => object?.['state'] === 'failed',
    30_000,
  );
  expect(status.object).toMatchObject({
    state: 'failed',
    exit_code: 7,
    failure: 'the agent ended with exit code 7',
    run: { number: 2 },
  });
  expect(lastRun(shipped, task)).toEqual({ exit_code: 7, failure: 'the agent ended with exit code 7' });
  await client.call('delete_task', { task });
  expect(await shipped.leftovers()).toEqual(nothingLeft);
  await client.close();
}

/** A daemon dies at this point of a creation; the next leaves nothing of it, and works. */
export async function expectNothingMade(shipped: Shipped, checkpoint: string): Promise<void> {
  // The daemon of this test dies at the checkpoint; one without it must not be there already.
  if ((await shipped.daemonPid()) !== undefined) await shipped.killDaemon();
  const doomed = await shipped.connect('auto', { TEROK_TEST_CRASH_AT: checkpoint });
  await expect(doomed.call('create_task', { project: 'demo' })).rejects.toThrow();
  await doomed.close().catch(() => undefined);
  expect(await shipped.daemonPid()).toBeUndefined();

  const client = await shipped.connect();
  const left = await eventually(
    () => shipped.leftovers(),
    (found) => Object.values(found).every((kind) => kind.length === 0),
  );
  expect(left).toEqual(nothingLeft);
  expect((await client.call('list_tasks')).object).toMatchObject({ tasks: [] });
  const task = String((await client.call('create_task', { project: 'demo' })).object?.['task']);
  const status = await eventually(
    () => client.call('task_status', { task, wait_s: 5 }),
    ({ object }) => object?.['state'] === 'running',
  );
  expect(status.object).toMatchObject({ state: 'running' });
  await client.call('delete_task', { task });
  await client.close();
}
