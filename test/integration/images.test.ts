import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AgentLoader } from '../../src/runtime/agents/agent-loader.ts';
import { asText } from '../../src/runtime/core/command.ts';
import { LABEL } from '../../src/runtime/engine/contract.ts';
import { BaseArchiveStore } from '../../src/runtime/images/base-archive-store.ts';
import { BaseImage } from '../../src/runtime/images/base-image.ts';
import type { ReadyImages } from '../../src/runtime/images/contract.ts';
import { ImageBuilder } from '../../src/runtime/images/image-builder.ts';
import { isRoot, podmanEngine, realPaths, resourcesDir, runner } from '../support/host.ts';

const paths = realPaths();
const engine = podmanEngine(paths);

function imageBuilder(): ImageBuilder {
  const directory = path.join(paths.cache, 'base');
  return new ImageBuilder({
    engine,
    agents: new AgentLoader({ bundled: path.join(resourcesDir, 'agents'), own: '/nonexistent' }),
    base: new BaseImage({ engine, runner, archives: new BaseArchiveStore({ directory }), isRoot }),
    resources: resourcesDir,
    cache: paths.cache,
    monotonicMs: () => performance.now(),
  });
}

let images: ReadyImages;
let work: string;

beforeAll(async () => {
  images = await imageBuilder().ensure(() => undefined);
  work = await mkdtemp(path.join(os.tmpdir(), 'images-'));
}, 600_000);

afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

/** Runs a command in a throw-away container of the agents' layer, with no network. */
async function inside(...command: readonly string[]): Promise<string> {
  const { podmanBase } = await import('../../src/runtime/engine/podman/podman-commands.ts');
  const base = podmanBase(paths.podman);
  const args = [
    ...base.args,
    'run',
    '--rm',
    '--network=none',
    '--tmpfs=/sys:ro,size=4k',
    '--',
    images.l1,
    ...command,
  ];
  return await runner.run({ file: 'podman', args, env: base.env, timeoutMs: 60_000, parse: asText });
}

it('has every layer after one ensure, each labelled with what it is made of', async () => {
  expect(await imageBuilder().plan()).toEqual({ missing: [] });
  for (const tag of [images.l0, images.l1]) {
    const labels = await engine.imageLabels(tag);
    expect(labels?.[LABEL.content]).toMatch(/^[0-9a-f]{64}$/);
    expect(labels?.[LABEL.base]).toBe(images.base);
  }
});

it('builds nothing and says nothing when everything is there', async () => {
  const said: string[] = [];
  await imageBuilder().ensure((message) => said.push(message));
  expect(said).toEqual([]);
});

it('runs as dev in /workspace, with sudo, and with the tools that people expect', async () => {
  const programs = 'git curl ssh socat sudo rg vi tmux less ps ip jq terok-init terok-scripted'.split(' ');
  const output = await inside(
    'bash',
    '-c',
    `id -u; id -un; pwd; sudo -n id -u; stat -c %U /workspace; echo $HOME $REPO_ROOT $GIT_RESET_MODE $LANG; type -t ${programs.join(' ')}`,
  );
  const lines = output.trim().split('\n');
  expect(lines.slice(0, 6)).toEqual([
    '1000',
    'dev',
    '/workspace',
    '0',
    'dev',
    '/home/dev /workspace none C.UTF-8',
  ]);
  expect(lines.slice(6)).toEqual(programs.map(() => 'file'));
});

it('keeps git settings and programs where the task cannot change them without sudo', async () => {
  const output = await inside('bash', '-c', 'stat -c "%U %a" /etc/gitconfig /usr/local/bin/terok-*');
  expect(new Set(output.trim().split('\n'))).toEqual(new Set(['root 644', 'root 755']));
});

it('names the layer and shows the last lines when a build fails, and leaves the good image alone', async () => {
  const resources = path.join(work, 'resources');
  await runner.run({ file: 'cp', args: ['-r', resourcesDir, resources], parse: asText });
  await writeFile(
    path.join(resources, 'images/l1.Dockerfile'),
    'FROM {{parent}}\nCOPY {{programs}} /usr/local/bin/\nRUN echo the-cause >&2; false\n',
  );
  const before = await engine.imageLabels(images.l1);
  const broken = new ImageBuilder({
    engine,
    agents: new AgentLoader({ bundled: path.join(resources, 'agents'), own: '/nonexistent' }),
    base: new BaseImage({
      engine,
      runner,
      archives: new BaseArchiveStore({ directory: path.join(paths.cache, 'base') }),
      isRoot,
    }),
    resources,
    cache: work,
    monotonicMs: () => performance.now(),
  });
  await expect(broken.ensure(() => undefined)).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: `The image layer ${images.l1} could not be built`,
    details: expect.stringContaining('the-cause'),
  });
  expect(await engine.imageLabels(images.l1)).toEqual(before);
});
