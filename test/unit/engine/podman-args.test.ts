import { describe, expect, it } from 'vitest';
import type { ContainerSpec } from '../../../src/runtime/engine/contract.ts';
import { buildArgs, runArgs } from '../../../src/runtime/engine/podman/podman-args.ts';
import { PodmanCommands } from '../../../src/runtime/engine/podman/podman-commands.ts';
import type { GpuGrant } from '../../../src/runtime/gpus/contract.ts';
import { exampleSpec } from '../../support/example-spec.ts';

const text = (args: readonly string[]): string => `${args.join('\n')}\n`;
const rootful: Partial<ContainerSpec> = { idMapping: { kind: 'range', hostStart: 200_000, size: 65_536 } };

const exampleStore = {
  graphRoot: '/store/containers',
  runRoot: '/run/terok-podman/run',
  tmpDir: '/run/terok-podman/tmp',
  containersConf: '/store/containers.conf',
};

const cdi: GpuGrant = {
  devices: { cdi: ['nvidia.com/gpu=0', 'nvidia.com/gpu=2'], nodes: [], keepGroups: false },
  environment: {},
};
const nodes: GpuGrant = {
  devices: { cdi: [], nodes: ['/dev/dri/renderD128', '/dev/kfd'], keepGroups: true },
  environment: { ROCR_VISIBLE_DEVICES: '0', HIP_VISIBLE_DEVICES: '0' },
};

describe('podman run', () => {
  it.each<[string, ContainerSpec]>([
    ['unrestricted-rootless', exampleSpec()],
    ['restricted-rootless', exampleSpec({ restricted: true })],
    ['restricted-rootful', { ...exampleSpec({ restricted: true, limits: true }), ...rootful }],
    ['dev-rootless', exampleSpec({ mode: 'dev' })],
    ['interactive-rootless', exampleSpec({ mode: 'interactive' })],
    ['web-rootless', exampleSpec({ mode: 'web', relay: true })],
    ['tool-rootless', exampleSpec({ mode: 'tool' })],
    ['gpu-by-cdi', exampleSpec({ restricted: true, gpu: cdi })],
    ['gpu-by-nodes', exampleSpec({ restricted: true, gpu: nodes })],
    ['no-network', { ...exampleSpec({ restricted: true }), network: { kind: 'none' } }],
    [
      'login-rootless',
      {
        ...exampleSpec({ mode: 'dev', restricted: true }),
        network: { kind: 'open', program: 'slirp4netns', loopbackPorts: [1455] },
      },
    ],
    [
      'login-by-pasta',
      {
        ...exampleSpec({ mode: 'dev', restricted: true }),
        network: { kind: 'open', program: 'pasta', loopbackPorts: [] },
      },
    ],
  ])('of an %s container', async (name, spec) => {
    await expect(text(runArgs(spec))).toMatchFileSnapshot(`../../golden/podman/${name}.txt`);
  });

  it('drops every capability first, whatever is added', () => {
    const args = runArgs(exampleSpec());
    expect(args.indexOf('--cap-drop=all')).toBeGreaterThan(-1);
    expect(args.indexOf('--cap-drop=all')).toBeLessThan(args.findIndex((arg) => arg.startsWith('--cap-add')));
    expect(args.filter((arg) => arg.startsWith('--cap-add')).join()).not.toMatch(/NET_|SYS_|MKNOD|ALL/i);
  });

  it('adds a GPU and nothing else that a container without one does not have', () => {
    const without = new Set(runArgs(exampleSpec({ restricted: true })));
    const more = (gpu: GpuGrant) =>
      runArgs(exampleSpec({ restricted: true, gpu })).filter(
        (arg) => !without.has(arg) && !arg.startsWith('--label=ai.terok.spec='),
      );
    expect(more(cdi)).toEqual(['--device=nvidia.com/gpu=0', '--device=nvidia.com/gpu=2']);
    expect(more(nodes)).toEqual([
      '--device=/dev/dri/renderD128',
      '--device=/dev/kfd',
      '--group-add=keep-groups',
      '--env=HIP_VISIBLE_DEVICES=0',
      '--env=ROCR_VISIBLE_DEVICES=0',
    ]);
  });

  it('lets no image or command become a flag', () => {
    const args = runArgs({ ...exampleSpec(), image: '--privileged', command: ['--network=host'] });
    expect(args.slice(-3)).toEqual(['--', '--privileged', '--network=host']);
    expect(args.slice(0, -3)).not.toContain('--privileged');
  });
});

it('podman build', async () => {
  const args = buildArgs({
    tag: 'terok-l0:debian-trixie',
    dockerfile: '/context/L0.Dockerfile',
    context: '/context',
    labels: { 'ai.terok.content-hash': 'abc' },
    volumes: [],
    noCache: false,
    buildArguments: {},
  });
  await expect(text(args)).toMatchFileSnapshot('../../golden/podman/build.txt');
});

it('podman start is told the name and nothing else, for the container is as it was made', async () => {
  const commands = new PodmanCommands({ paths: exampleStore });
  await expect(text(commands.start('--privileged').args)).toMatchFileSnapshot(
    '../../golden/podman/start.txt',
  );
});
