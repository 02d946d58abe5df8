import path from 'node:path';
import { asNothing } from '../src/runtime/core/command.ts';
import { podmanBase } from '../src/runtime/engine/podman/podman-commands.ts';
import { DockerSettings } from '../src/runtime/images/contract.ts';
import { type Figure, toFigure } from '../test/support/figure.ts';
import { runner } from '../test/support/host.ts';
import { Terok } from '../test/support/runtime-host.ts';

const ROUNDS = 9;

/**
 * From asking for a task to its workspace being ready, against `podman create` + `podman start` of the same
 * image without network + `git clone --local` of the same repository. Medians of interleaved rounds.
 */
export async function run(): Promise<readonly Figure[]> {
  await using terok = await Terok.make();
  const ours: number[] = [];
  const baseline: number[] = [];
  const { task: image } = await terok.runtime.images.ensure(
    { project: undefined, docker: DockerSettings.parse({ agents: ['scripted'] }) },
    () => undefined,
  );
  // One of each first: caches, single-flight work and the pause process are warm in both.
  await createTask(terok);
  await rawContainer(terok, image, 'warm');
  for (let round = 0; round < ROUNDS; round += 1) {
    baseline.push(await rawContainer(terok, image, String(round)));
    ours.push(await createTask(terok));
  }
  return [toFigure('create_task to running', { ours, baseline })];
}

async function createTask(terok: Terok): Promise<number> {
  const startedAt = performance.now();
  const { id } = await terok.runtime.tasks.create({ project: 'demo' });
  const task = await terok.ready(id);
  const tookMs = performance.now() - startedAt;
  if (task.state !== 'running') throw new Error(`the task is ${task.state}`);
  await terok.runtime.tasks.delete(id);
  return tookMs;
}

async function rawContainer(terok: Terok, image: string, round: string): Promise<number> {
  const { args, env } = podmanBase(terok.host.paths.podman);
  const podman = (...verb: readonly string[]): Promise<void> =>
    runner.run({ file: 'podman', args: [...args, ...verb], env, parse: asNothing });
  const name = `bench-${terok.host.paths.instance}-${round}`;
  const clone = path.join(terok.ground.directory, `clone-${round}`);
  const startedAt = performance.now();
  await podman('create', '--pull=never', '--network=none', `--name=${name}`, image, 'sleep', '60');
  await podman('start', name);
  await terok.ground.git.ok('clone', '--quiet', '--local', terok.upstream.url, clone);
  const tookMs = performance.now() - startedAt;
  await podman('rm', '--force', '--time=0', name);
  return tookMs;
}
