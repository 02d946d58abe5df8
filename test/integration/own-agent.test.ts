import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Terok } from '../support/runtime-host.ts';

/** The agent that the README shows: what it promises is what is run here. */
async function agentOfReadme(): Promise<string> {
  const readme = await readFile(path.resolve(import.meta.dirname, '../../README.md'), 'utf8');
  const [, example] = /```yaml\n# ~\/\.config\/terok\/agents\/upper\.yaml\n([\s\S]*?)```/.exec(readme) ?? [];
  if (example === undefined) throw new Error('the README shows no agent "upper"');
  return example;
}

test('an agent that is one YAML file is installed and runs, with its own name in commits', async () => {
  await using terok = await Terok.make();
  const { config } = terok.host.paths;
  await mkdir(path.join(config, 'agents'));
  await writeFile(path.join(config, 'agents/upper.yaml'), await agentOfReadme());
  await writeFile(path.join(config, 'config.yml'), 'default_agent: upper\ndocker:\n  agents: [upper]\n');

  const task = await terok.runtime.tasks.create({ project: 'demo', prompt: 'shout this\n' });
  expect(await terok.ended(task.id, 120_000)).toMatchObject({
    state: 'completed',
    exitCode: 0,
    agent: 'upper',
  });
  // It has no channel for instructions, so they stand in front of the prompt it was given.
  expect(await terok.output(task.id)).toMatch(/SHOUT THIS$/m);

  const { installed, skipped } = (await terok.runtime.images.inventory({
    project: undefined,
    docker: { base_image: '', agents: ['upper'] },
  })) ?? { installed: [], skipped: [] };
  expect(installed.map(({ name }) => name)).toEqual(['upper']);
  expect(skipped).toEqual([]);
}, 300_000);

test('an agent that is not in the image is refused with what to do, and nothing is left', async () => {
  await using terok = await Terok.make();
  await expect(
    terok.runtime.tasks.create({ project: 'demo', agent: 'claude', prompt: 'hello' }),
  ).rejects.toMatchObject({
    code: 'HOST_UNSUPPORTED',
    message: expect.stringContaining('claude'),
    hint: expect.stringContaining('docker.agents'),
  });
  expect(terok.runtime.tasks.list()).toEqual([]);
  expect(await terok.containers()).toEqual([]);
});
