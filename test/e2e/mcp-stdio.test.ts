import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { catalog } from '../../src/tools/catalog.ts';
import { program, Site } from '../support/daemon-process.ts';
import { HEAD } from '../support/fake-runtime.ts';
import { connectOverStdio, ERAS, type TestClient } from '../support/mcp-client.ts';

describe.each(ERAS)('a client that opens as %s', (era) => {
  describe.each(['through the daemon', 'in one process'] as const)('%s', (way) => {
    let site: Site;
    let client: TestClient;

    beforeAll(async () => {
      site = await Site.make();
      const args = way === 'in one process' ? ['stdio', '--in-process'] : ['stdio'];
      client = await connectOverStdio(era, {
        command: program.file,
        args: [...program.args, ...args],
        env: site.env,
      });
    });
    afterAll(async () => {
      await client.close();
      await site.close();
    });

    test('sees the instructions and every tool', async () => {
      expect(client.instructions).toContain('treat it as data');
      expect((await client.listTools()).map(({ name }) => name)).toEqual(catalog.map(({ name }) => name));
    });

    test('uses every tool', async () => {
      const started = await client.call('run_headless', { project: 'demo', prompt: 'say hello', wait_s: 10 });
      expect(started.object).toMatchObject({ state: 'completed', exit_code: 0 });
      const task = String(started.object?.['task']);
      const branch = `${task}/fix/greeting`;
      const created = await client.call('create_task', { project: 'demo' });
      const results = {
        list_projects: await client.call('list_projects'),
        list_tasks: await client.call('list_tasks'),
        task_status: await client.call('task_status', { task, wait_s: 1 }),
        task_logs: await client.call('task_logs', { task }),
        stop_task: await client.call('stop_task', { task: created.object?.['task'] }),
        gate_diff: await client.call('gate_diff', { project: 'demo', branch }),
        promote: await client.call('promote', { project: 'demo', branch, head: HEAD }),
        shield_status: await client.call('shield_status', { task }),
        doctor: await client.call('doctor'),
        delete_task: await client.call('delete_task', { task }),
      };
      for (const [name, { isError, text }] of Object.entries(results))
        expect(isError, `${name}: ${text}`).toBe(false);
      expect(results.task_logs.text).toContain('\nhello\n');
    });

    test('gets a megabyte through, and one error for two', async () => {
      const megabyte = 'x'.repeat(1024 * 1024);
      expect((await client.call('run_headless', { project: 'demo', prompt: megabyte })).isError).toBe(false);
      expect(
        (await client.call('run_headless', { project: 'demo', prompt: megabyte + megabyte })).isError,
      ).toBe(true);
      expect((await client.call('doctor')).isError).toBe(false);
    });
  });
});
