import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProcesses } from '../../src/runtime/core/process-table-loader.ts';
import { Secret } from '../../src/runtime/core/secret.ts';
import type { Task } from '../../src/runtime/tasks/contract.ts';
import { runner } from '../support/host.ts';
import { addEntries } from '../support/own-entries.ts';
import { Terok } from '../support/runtime-host.ts';
import { STATE_VERSION_3 } from '../support/state-version-3.ts';

const KEY = 'sk-test-7f3a9c51e0d84b26';
const digest = createHash('sha256').update(KEY).digest('hex');

let terok: Terok;
beforeAll(async () => {
  terok = await Terok.make();
  await addEntries(terok.host, 'sums');
}, 600_000);
afterAll(() => terok[Symbol.asyncDispose]());

const start = (args: readonly string[], timeoutS?: number) =>
  terok.runtime.tasks.create({ project: 'demo', mode: 'tool', tool: { name: 'sums', args }, timeoutS });

async function run(args: readonly string[], timeoutS?: number): Promise<Task> {
  return await terok.ended((await start(args, timeoutS)).id);
}

/** Files below a directory of the host that hold the key. */
async function filesWithKey(): Promise<readonly string[]> {
  const found = await runner.run({
    file: 'grep',
    args: ['-rlaF', '--devices=skip', '-e', KEY, '--', terok.host.directory],
    okCodes: [0, 1, 2],
    parse: ({ stdout }) => stdout.split('\n').filter((line) => line !== ''),
  });
  return found.map((file) => path.relative(terok.host.directory, file));
}

describe('a tool task', () => {
  it('without a key says where to put one, and leaves nothing', async () => {
    await expect(start([])).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringContaining('no credential'),
      hint: expect.stringContaining('terok-mcp auth sums'),
    });
    expect(terok.runtime.tasks.list()).toEqual([]);
    expect(await terok.containers()).toEqual([]);
  });

  it('runs the tool alone with the real key, its arguments as they were given, and nothing on standard input', async () => {
    await terok.runtime.vault.storeApiKey('sums', new Secret(KEY));
    const args = [
      '--',
      '-x',
      '--help=me',
      '',
      'two words',
      `"quotes' `,
      '$(id) `id` *',
      'line\nbreak',
      '\\',
      'ü',
    ];
    const task = await run(args);
    expect(task).toMatchObject({ state: 'completed', exitCode: 0, mode: 'tool', agent: 'sums' });
    const output = await terok.output(task.id);
    expect(output).toContain(`key ${digest}\ncount ${args.length}\n`);
    const given = [...output.matchAll(/^argument (.*)$/gm)].map(([, text = '']) =>
      Buffer.from(text, 'base64').toString(),
    );
    expect(given).toEqual(args);
    expect(output).toContain('input 0\nagent none');
  });

  it('has the key in its own container alone, and on no disk once it runs', async () => {
    const bystander = await terok.runtime.tasks.create({ project: 'demo', mode: 'interactive' });
    await terok.ready(bystander.id);
    const task = await start(['linger']);
    expect(await terok.ready(task.id)).toMatchObject({ state: 'running' });
    await expect.poll(() => terok.output(task.id), { timeout: 10_000 }).toContain('agent none');

    // It is there: what follows looks in the right places.
    const everywhere = 'cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr "\\0" "\\n"';
    const inside = await terok.exec(task, `${everywhere} | grep ^SUMS_KEY | sort -u`, { asAgent: false });
    expect(inside.stdout).toBe(`SUMS_KEY=${KEY}\n`);
    expect((await terok.exec(task, 'tr "\\0" "\\n" < /proc/1/environ')).stdout).not.toContain(KEY);

    expect((await terok.exec(task, 'ls /run/terok; cat /run/terok/run')).stdout).not.toMatch(
      /environment|vault/,
    );
    expect((await terok.exec(bystander, 'ls /run/terok')).stdout).not.toMatch(/environment/);
    const seen = await terok.exec(bystander, everywhere, { asAgent: false });
    expect(seen.stdout).toContain('PATH=');
    expect(seen.stdout).not.toContain(KEY);

    expect(await terok.podman('inspect', task.container)).not.toContain(KEY);
    expect(await findProcesses((argv) => argv.some((argument) => argument.includes(KEY)))).toEqual([]);
    // In the vault it is sealed: no file, database or log of ours shows it.
    expect(await filesWithKey()).toEqual([]);
    await writeFile(path.join(terok.host.paths.state, 'found'), KEY);
    expect(await filesWithKey()).toEqual(['state/found']);
    await rm(path.join(terok.host.paths.state, 'found'));
    expect(JSON.stringify(terok.runtime.tasks.get(task.id))).not.toContain(KEY);
    expect(JSON.stringify(await terok.runtime.tasks.report(task.id))).not.toContain(KEY);

    expect(await terok.runtime.tasks.stop(task.id)).toMatchObject({ state: 'stopped' });
    expect(await terok.output(task.id)).not.toContain(KEY);
    expect(await filesWithKey()).toEqual([]);
  });

  it('has 600 seconds unless told otherwise, and ends at its limit', async () => {
    const task = await start(['linger']);
    const limit = async (id: string): Promise<string | undefined> =>
      (await readFile(path.join(terok.host.paths.services, id, 'run'), 'utf8')).split('\0')[0];
    expect(await limit(task.id)).toBe('600');
    await terok.runtime.tasks.stop(task.id);
    const ended = await run(['linger'], 1);
    expect(ended).toMatchObject({ state: 'failed', exitCode: 124, failure: expect.stringMatching(/time/i) });
  });

  it('records how it ended, and does its call again with the key of now', async () => {
    const failed = await run(['fail']);
    expect(failed).toMatchObject({ state: 'failed', exitCode: 7 });
    await terok.runtime.vault.storeApiKey('sums', new Secret('another'));
    const again = await terok.runtime.tasks.restart(failed.id);
    expect(await terok.ended(again.id)).toMatchObject({ state: 'failed', exitCode: 7 });
    const output = await terok.output(failed.id);
    expect(output).toContain(`key ${createHash('sha256').update('another').digest('hex')}`);
    await terok.runtime.vault.remove('sums');
    await expect(terok.runtime.tasks.restart(failed.id)).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
  });

  it('still has its key after an upgrade from the release that kept it in a file, among the tasks of then', async () => {
    await terok.runtime[Symbol.asyncDispose]();
    const { database, state } = terok.host.paths;
    for (const file of [database, `${database}-wal`, `${database}-shm`]) await rm(file, { force: true });
    const old = new Database(database);
    old.exec(STATE_VERSION_3);
    const tasks = old.prepare(
      `INSERT INTO tasks VALUES (?, 'demo', '', 'headless', 'scripted', 0, ?, ?, 'main', NULL, NULL, ?, ?, ?,
         '{}', NULL, 'demo:l2-cli', 0, NULL, NULL, NULL)`,
    );
    const at = new Date().toISOString();
    tasks.run('k3f9a', 'running', 'demo-run-k3f9a', at, at, null);
    tasks.run('k3f9c', 'completed', 'demo-run-k3f9c', at, at, at);
    old.pragma('user_version = 3');
    old.close();
    await mkdir(path.join(state, 'credentials'), { mode: 0o700 });
    const file = path.join(state, 'credentials/sums.json');
    await writeFile(file, JSON.stringify({ kind: 'api_key', key: KEY }), { mode: 0o600 });
    await terok.restart();
    await terok.runtime.ready;
    expect(terok.runtime.tasks.list().map(({ id, state: now }) => [id, now])).toEqual(
      expect.arrayContaining([
        ['k3f9a', 'failed'],
        ['k3f9c', 'completed'],
      ]),
    );
    const task = await run(['after']);
    expect(await terok.output(task.id)).toContain(`key ${digest}\n`);
    expect(await filesWithKey()).toEqual([]);
  });
});
