import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestClient } from '../support/mcp-client.ts';
import { eventually, nothingLeft, Shipped } from '../support/shipped.ts';

let shipped: Shipped;
beforeAll(async () => {
  shipped = await Shipped.make();
});
afterAll(() => shipped[Symbol.asyncDispose]());

const ENDED = new Set(['completed', 'failed', 'stopped']);

/** A client that connects again when its daemon was killed under it. */
async function persistent<T>(use: (client: TestClient) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const client = await shipped.connect();
      try {
        return await use(client);
      } finally {
        await client.close().catch(() => undefined);
      }
    } catch (error) {
      if (attempt === 10) throw error;
      await delay(200 * attempt);
    }
  }
}

it('sixty tasks under a daemon that is killed again and again all end truthfully, and nothing is left', async () => {
  const started = new Map<string, number>();
  let isOver = false;
  const killer = (async () => {
    for (let kills = 0; kills < 8 && !isOver; kills += 1) {
      await delay(4_000 + Math.random() * 4_000);
      if ((await shipped.daemonPid()) !== undefined) await shipped.killDaemon().catch(() => undefined);
    }
  })();
  for (let wave = 0; wave < 6; wave += 1) {
    await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const code = index % 3;
        // A start whose answer was lost may have happened or not; only those that answered are counted on.
        await persistent(async (client) => {
          const { object } = await client.call('run_headless', {
            project: 'demo',
            prompt: [
              'sleep 1',
              `write n.txt ${wave}-${index}`,
              'commit Work',
              'sleep 1',
              `exit ${code}`,
            ].join('\n'),
          });
          if (typeof object?.['task'] === 'string') started.set(object['task'], code);
        });
      }),
    );
  }
  isOver = true;
  await killer;
  expect(started.size).toBeGreaterThan(30);
  for (const [task, code] of started) {
    const status = await eventually(
      () => persistent((client) => client.call('task_status', { task })),
      ({ object }) => ENDED.has(String(object?.['state'])),
      60_000,
    );
    expect([task, status.object?.['state'], status.object?.['exit_code']]).toEqual([
      task,
      code === 0 ? 'completed' : 'failed',
      code,
    ]);
  }
  const list = await persistent((client) => client.call('list_tasks', { limit: 100 }));
  const tasks: readonly { task: string }[] = Array.isArray(list.object?.['tasks'])
    ? list.object['tasks']
    : [];
  for (const { task } of tasks) await persistent((client) => client.call('delete_task', { task }));
  expect(await shipped.leftovers()).toEqual(nothingLeft);
});

it('two hundred starts in a row fail never', async () => {
  const client = await shipped.connect();
  for (let count = 0; count < 200; count += 1) {
    const { object, text } = await client.call('create_task', { project: 'demo' });
    expect(object?.['state'], text).toBe('running');
    await client.call('delete_task', { task: String(object?.['task']) });
  }
  expect(await shipped.leftovers()).toEqual(nothingLeft);
});

it('the daemon stays while a task runs, and leaves after its idle minutes', async () => {
  if ((await shipped.daemonPid()) !== undefined) await shipped.killDaemon();
  const daemon = shipped.spawn(['serve', '--idle-minutes', '1']);
  // Only once it holds the lock: a front end that comes earlier may start another, which wins.
  await new Promise<void>((resolve) => {
    for (const output of [daemon.stdout, daemon.stderr]) {
      output?.on('data', (text) => String(text).includes('daemon ready') && resolve());
    }
  });
  const client = await shipped.connect();
  const { object } = await client.call('run_headless', { project: 'demo', prompt: 'sleep 75' });
  await client.close();
  await delay(70_000);
  expect(await shipped.daemonPid()).toBe(daemon.pid);
  await eventually(
    () => shipped.daemonPid(),
    (pid) => pid === undefined,
    120_000,
  );
  expect(await shipped.daemonPid()).toBeUndefined();
  const next = await shipped.connect();
  const status = await next.call('task_status', { task: String(object?.['task']) });
  expect(status.object).toMatchObject({ state: 'completed', exit_code: 0 });
});

it('a run whose agent stops what keeps its time limit is ended all the same', async () => {
  const client = await shipped.connect();
  const { object } = await client.call('run_headless', {
    project: 'demo',
    prompt: 'run kill -STOP $(ps -o ppid= -p $PPID)\nsleep 600',
    timeout_s: 1,
  });
  const task = String(object?.['task']);
  const status = await eventually(
    () => client.call('task_status', { task }),
    ({ object: seen }) => ENDED.has(String(seen?.['state'])),
    180_000,
  );
  expect(status.object).toMatchObject({ state: 'failed' });
  await client.call('delete_task', { task });
});
