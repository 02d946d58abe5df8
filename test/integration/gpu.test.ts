import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { ContainerSpec, Devices } from '../../src/runtime/engine/contract.ts';
import { NO_GPU } from '../../src/runtime/gpus/contract.ts';
import { HostGpus } from '../../src/runtime/gpus/host-gpus.ts';
import { type CdiSpecification, cdiSpecification, DEVICE, GPU } from '../support/cdi-specification.ts';
import { exampleSpec } from '../support/example-spec.ts';
import { isRoot, podmanEngine } from '../support/host.ts';
import { Terok } from '../support/runtime-host.ts';

let terok: Terok;
let specification: CdiSpecification;
beforeAll(async () => {
  terok = await Terok.make();
  specification = await cdiSpecification(terok.host.paths);
});
afterAll(async () => {
  await specification[Symbol.asyncDispose]();
  await terok[Symbol.asyncDispose]();
});

const gpus = (): HostGpus =>
  new HostGpus({
    cdiDirectories: [specification.directory],
    roots: { dev: '/nonexistent', sys: '/nonexistent' },
    isRootless: !isRoot,
  });

const LOOK = [
  `test -c ${DEVICE} && echo device || echo no device`,
  'echo "gpu=$TEROK_TEST_GPU"',
  'cat /opt/gpu/libgpu.so 2>/dev/null || echo no driver',
  'echo x >> /opt/gpu/libgpu.so; echo "wrote $?"',
  'grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status',
].join('; ');

/** What a restricted container with these devices says, once it has ended. */
async function look(devices: Devices, environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const { paths } = terok.host;
  const engine = podmanEngine(paths);
  const example = exampleSpec({ restricted: true, gpu: { devices, environment } });
  const log = path.join(terok.host.directory, `gpu-${Math.random().toString(36).slice(2)}.log`);
  const spec: ContainerSpec = {
    ...example,
    name: `terok-gpu-${paths.instance}`,
    image: await taskImage(),
    command: ['bash', '-c', LOOK],
    workdir: '/',
    mounts: [],
    network: { kind: 'none' },
    idMapping: engine.idMapping(1000),
    log: { ...example.log, hostPath: log },
  };
  try {
    await engine.launch(spec);
    for (let tries = 0; (await engine.inspect(spec.name))?.status !== 'exited'; tries += 1) {
      if (tries === 200) throw new Error('the container did not end');
    }
    return (await readFile(log, 'utf8')).replace(/^\S+ std\S+ F /gm, '');
  } finally {
    await engine.remove(spec.name);
  }
}

async function taskImage(): Promise<string> {
  const { id, directory, settings } = await terok.runtime.projects.get('demo');
  const ready = await terok.runtime.images.ensure(
    { project: { id, directory }, docker: settings.docker },
    () => undefined,
  );
  return ready.task;
}

/** A project whose tasks ask for these GPUs. */
async function project(id: string, setting: string): Promise<string> {
  const { file } = await terok.runtime.projects.create({ id, upstreamUrl: terok.upstream.url });
  await writeFile(
    file,
    stringify({
      git: { upstream_url: terok.upstream.url },
      default_agent: 'scripted',
      run: { gpus: setting, restricted: true },
    }),
  );
  return id;
}

describe('a container with a GPU of a CDI specification', () => {
  it('has its device, environment and driver, and nothing weaker than one without', async () => {
    const { devices, environment } = await gpus().grant(`nvidia:${GPU}`);
    const without = await look(NO_GPU.devices);
    expect(without).toContain('no device\ngpu=\nno driver\n');
    const within = await look(devices, environment);
    expect(within).toContain(`device\ngpu=${GPU}\ndriver of the host\n`);
    expect(within).not.toContain('no device');
    expect(within).toContain('wrote 1');
    const privileges = (output: string) => output.split('\n').filter((line) => /^(?:Cap|NoNew)/.test(line));
    expect(privileges(within)).toEqual(privileges(without));
    expect(privileges(within)).toEqual([
      `CapEff:\t${'0'.repeat(16)}`,
      `CapBnd:\t${'0'.repeat(16)}`,
      'NoNewPrivs:\t1',
    ]);
  });

  it('that is one of all, or of a list, is the same', async () => {
    for (const setting of [true, 'all', ['nvidia', `nvidia:${GPU}`]] as const) {
      expect((await gpus().grant(typeof setting === 'object' ? [...setting] : setting)).devices.cdi).toEqual([
        `nvidia.com/gpu=${GPU}`,
      ]);
    }
  });

  it('that Podman does not know is an error in words, and no container is left', async () => {
    await expect(look({ ...NO_GPU.devices, cdi: [`nvidia.com/gpu=${GPU + 1}`] })).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: `Podman does not know the GPU nvidia.com/gpu=${GPU + 1}`,
    });
    expect(await terok.podman('ps', '--all', '--format={{.Names}}')).not.toContain('terok-gpu-');
  });
});

describe('a container with a device node', () => {
  it('has the node, with the groups of its user kept where it is an ordinary one', async () => {
    const output = await look({ cdi: [], nodes: [DEVICE], keepGroups: !isRoot });
    expect(output).toMatch(/^device$/m);
    expect(output).toContain(`CapEff:\t${'0'.repeat(16)}`);
  });
});

describe('a task', () => {
  // What an ordinary user lays over /etc for Podman, the runtime beside it does not see.
  if (isRoot) {
    it('with the GPU its project asks for does its work with it', async () => {
      const id = await project('with-gpu', `nvidia:${GPU}`);
      const { id: task } = await terok.runtime.tasks.create({
        project: id,
        prompt: [`run ${LOOK}`, 'connect 203.0.113.7 443'].join('\n'),
      });
      const ended = await terok.ended(task);
      const output = await terok.output(task);
      expect({ state: ended.state, output }).toEqual({ state: 'completed', output });
      expect(output).toContain(`gpu=${GPU}`);
      expect(output).toContain('refused');
      await terok.runtime.tasks.delete(task);
    });
  }

  it('whose GPU is absent does not start, says so, and leaves nothing', async () => {
    const id = await project('without-gpu', `nvidia:${GPU + 1}`);
    await expect(terok.runtime.tasks.create({ project: id, prompt: 'say hello' })).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringMatching(/^This host has no (?:nvidia GPU|GPU nvidia)/),
    });
    const { paths } = terok.host;
    expect(terok.runtime.tasks.list({ project: id })).toEqual([]);
    expect(await terok.containers()).toEqual([]);
    expect(await readdir(path.join(paths.tasks, id)).catch(() => [])).toEqual([]);
    expect((await readdir(paths.networks)).filter((name) => !name.endsWith('.log'))).toEqual([]);
    expect(await readdir(paths.services)).toEqual([]);
  });
});
