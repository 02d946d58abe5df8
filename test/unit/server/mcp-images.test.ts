import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommandError, HostError } from '../../../src/runtime/core/errors.ts';
import { FakeRuntime, HOSTILE } from '../../support/fake-runtime.ts';
import { connectInMemory, type TestClient } from '../../support/mcp-client.ts';

let runtime: FakeRuntime;
let client: TestClient;

beforeEach(async () => {
  runtime = new FakeRuntime();
  client = await connectInMemory('auto', { runtime, progressPace: { minGapMs: 0 } });
});
afterEach(async () => {
  await client.close();
  await runtime[Symbol.asyncDispose]();
});

test('build_images answers what was built, what was skipped and what to call next', async () => {
  const { object } = await client.call('build_images', { project: 'demo', scope: 'full', dev: true });
  expect(object).toMatchObject({
    state: 'built',
    task_image: 'terok-l1-cli:test',
    built: ['terok-l0:test', 'terok-l1-cli:test'],
    dev_image: 'demo:l2-dev',
    installed: [{ name: 'claude', version: '2.1.319' }, { name: 'scripted' }],
    skipped: [{ name: 'vibe', reason: 'its package cannot be had' }],
    next: expect.stringContaining('run_headless project=demo'),
  });
  expect(object).not.toHaveProperty('sidecar_image');
  expect(runtime.images.builds).toMatchObject([{ project: { id: 'demo' }, scope: 'full', sidecar: false }]);
});

test('a build that takes long is joined by calling again', async () => {
  runtime.images.isInstant = false;
  const first = await client.call('build_images', { wait_s: 0 });
  expect(first.object).toMatchObject({ state: 'building', next: expect.stringContaining('build_images') });
  runtime.images.report(HOSTILE);
  const second = await client.call('build_images', { wait_s: 0 });
  expect(second.object?.['last_line']).toContain('red');
  expect(JSON.stringify(second.object)).not.toMatch(/\\u001b|\u202e/);
  const third = client.call('build_images');
  setTimeout(() => runtime.images.finish(), 20);
  expect((await third).object).toMatchObject({ state: 'built' });
  expect(runtime.images.builds).toHaveLength(1);
});

test('progress of a build arrives in order, cleaned, with rising values', async () => {
  runtime.images.isInstant = false;
  const seen: Array<{ readonly progress: number; readonly message?: string | undefined }> = [];
  const built = client.call('build_images', {}, { onprogress: (notice) => seen.push(notice) });
  await expect.poll(() => runtime.images.runningCount).toBe(1);
  for (const line of ['STEP 1', `STEP 2 ${HOSTILE}`, 'STEP 3']) {
    const before = seen.length;
    runtime.images.report(line);
    await expect.poll(() => seen.length).toBe(before + 1);
  }
  runtime.images.finish();
  await built;
  expect(seen.map(({ message }) => message?.slice(0, 6))).toEqual(['STEP 1', 'STEP 2', 'STEP 3']);
  expect(JSON.stringify(seen)).not.toMatch(/\\u001b|\u202e/);
  const values = seen.map(({ progress }) => progress);
  expect(values).toEqual([...new Set(values)].toSorted((a, b) => a - b));
});

test('the death of a client ends no build, and the next one gets its failure once, with its code', async () => {
  runtime.images.isInstant = false;
  const left = client.call('build_images');
  left.catch(() => undefined);
  await expect.poll(() => runtime.images.runningCount).toBe(1);
  await client.close();
  await expect(left).rejects.toThrow();
  await delay(50);
  expect(runtime.images.runningCount).toBe(1);
  runtime.images.fail(
    new CommandError('The image layer terok-l1-cli:test could not be built', {
      details: 'E: no such package',
    }),
  );
  client = await connectInMemory('auto', { runtime });
  const told = await client.call('build_images', { wait_s: 1 });
  expect(told.isError).toBe(true);
  expect(told.text).toMatch(/^COMMAND_FAILED: The image layer terok-l1-cli:test could not be built/);
  expect(told.text).toMatch(/begin untrusted details.*\nE: no such package/);
  expect((await client.call('build_images', { wait_s: 0 })).object).toMatchObject({ state: 'building' });
});

test('list_agents tells what is installed from what is not, and why', async () => {
  await client.call('build_images');
  const { object, text } = await client.call('list_agents', { project: 'demo' });
  expect(object).toMatchObject({
    default_agent: 'claude',
    image: 'ready',
    broken: [{ name: 'mine', problem: expect.stringContaining('mine.yaml:2:1') }],
    next: expect.stringContaining('run_headless'),
  });
  expect(object?.['agents']).toEqual([
    expect.objectContaining({
      name: 'claude',
      kind: 'agent',
      installed: true,
      version: '2.1.319',
      features: ['resume', 'model', 'subagents'],
    }),
    expect.objectContaining({ name: 'scripted', installed: true, features: [] }),
    expect.objectContaining({ name: 'vibe', installed: false, reason: 'its package cannot be had' }),
    expect.objectContaining({ name: 'gh', kind: 'tool', installed: false, features: ['sidecar'] }),
    expect.objectContaining({ name: 'toad', kind: 'web', features: [] }),
  ]);
  expect(text.length).toBeLessThan(4000);
});

test('without an image, or without Podman, list_agents claims nothing about what is installed', async () => {
  const before = await client.call('list_agents');
  expect(before.object).toMatchObject({
    image: expect.stringContaining('not built yet'),
    next: expect.stringContaining('build_images'),
  });
  runtime.images.inventoryProblem = new HostError('Podman is not installed');
  const after = await client.call('list_agents');
  expect(after.object).toMatchObject({ image: 'could not be looked at: Podman is not installed' });
  for (const { object } of [before, after]) expect(JSON.stringify(object)).not.toContain('"installed":');
});

test('an unknown project or agent is an error that names the nearest', async () => {
  for (const tool of ['list_agents', 'build_images']) {
    const { isError, text } = await client.call(tool, { project: 'demmo' });
    expect([isError, text]).toEqual([true, 'NOT_FOUND: No project named "demmo"\nHint: Did you mean demo?']);
  }
  const { text } = await client.call('run_headless', { project: 'demo', prompt: 'x', agent: 'cluade' });
  expect(text).toBe('NOT_FOUND: No agent named "cluade"\nHint: Did you mean claude?');
  expect(runtime.images.builds).toEqual([]);
});

test('how an agent is to run reaches the task, and what could not be had comes back as warnings', async () => {
  const { object } = await client.call('run_headless', {
    project: 'demo',
    prompt: 'say hello',
    preset: 'fast',
    model: 'large',
    max_turns: 3,
    instructions: 'Be brief.',
    subagents: ['reviewer'],
    wait_s: 5,
  });
  expect(object).toMatchObject({ state: 'completed', warnings: [expect.stringContaining('"large"')] });
  expect(runtime.tasks.created[0]).toMatchObject({
    preset: 'fast',
    model: 'large',
    maxTurns: 3,
    instructions: 'Be brief.',
    subagents: ['reviewer'],
  });
  const idle = await client.call('create_task', { project: 'demo', preset: 'fast', instructions: 'x' });
  expect(idle.object).not.toHaveProperty('warnings');
  expect(runtime.tasks.created[1]).toMatchObject({ preset: 'fast', instructions: 'x' });
});
