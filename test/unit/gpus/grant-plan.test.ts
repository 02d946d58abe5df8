import { describe, expect, it } from 'vitest';
import { type GpuGrant, GpuSetting, NO_GPU } from '../../../src/runtime/gpus/contract.ts';
import type { GpuHardware } from '../../../src/runtime/gpus/gpu-hardware.ts';
import { planGrant } from '../../../src/runtime/gpus/grant-plan.ts';

const open = (path: string) => ({ path, isOpenToAll: true });
const closed = (path: string) => ({ path, isOpenToAll: false });
const nothing: GpuHardware = {
  cdi: [],
  problems: [],
  nodes: { nvidia: [], amd: [], intel: [] },
  shared: { nvidia: [], amd: [], intel: [] },
  lookedAt: ['/etc/cdi/*.{yaml,json}', '/dev/nvidia*'],
};
const cdi = (...names: string[]): GpuHardware['cdi'] =>
  names.map((name) => ({ kind: 'nvidia.com/gpu', name }));
const withCdi: GpuHardware = { ...nothing, cdi: cdi('0', '1', 'all') };
const raw: GpuHardware = {
  ...nothing,
  nodes: {
    nvidia: [open('/dev/nvidia0'), open('/dev/nvidia1')],
    amd: [closed('/dev/dri/renderD128'), closed('/dev/dri/renderD130')],
    intel: [open('/dev/dri/renderD129')],
  },
  shared: { nvidia: [open('/dev/nvidiactl'), open('/dev/nvidia-uvm')], amd: [open('/dev/kfd')], intel: [] },
};

const plan = (setting: GpuSetting, hardware: GpuHardware, isRootless = true): GpuGrant =>
  planGrant(setting, hardware, { isRootless });
const grant = (
  change: Partial<GpuGrant['devices']>,
  environment: GpuGrant['environment'] = {},
): GpuGrant => ({
  devices: { ...NO_GPU.devices, ...change },
  environment,
});

describe('with a CDI specification', () => {
  it.each<[GpuSetting, readonly string[]]>([
    [true, ['nvidia.com/gpu=all']],
    ['all', ['nvidia.com/gpu=all']],
    ['nvidia', ['nvidia.com/gpu=all']],
    ['nvidia:all', ['nvidia.com/gpu=all']],
    ['nvidia:1', ['nvidia.com/gpu=1']],
    [
      ['nvidia:1', 'nvidia:0', 'nvidia:1'],
      ['nvidia.com/gpu=0', 'nvidia.com/gpu=1'],
    ],
    [['nvidia:1', 'nvidia'], ['nvidia.com/gpu=all']],
    [['nvidia', 'nvidia:1', 'all'], ['nvidia.com/gpu=all']],
  ])('%j is what the specification names, once', (setting, expected) => {
    expect(plan(setting, withCdi)).toEqual(grant({ cdi: expected }));
  });

  it('that has no "all", all of its devices are all', () => {
    expect(plan('nvidia', { ...nothing, cdi: cdi('0', '1') })).toEqual(
      grant({ cdi: ['nvidia.com/gpu=0', 'nvidia.com/gpu=1'] }),
    );
  });

  it('it is preferred to device nodes, and specifications of other devices are not taken for GPUs', () => {
    expect(plan('nvidia', { ...raw, cdi: withCdi.cdi })).toEqual(grant({ cdi: ['nvidia.com/gpu=all'] }));
    const nic: GpuHardware = { ...nothing, cdi: [{ kind: 'nvidia.com/nic', name: 'all' }] };
    expect(() => plan('nvidia', nic)).toThrow('no nvidia GPU');
  });

  it('a device it does not name is an error that names those it does', () => {
    expect(() => plan('nvidia:7', withCdi)).toThrow(
      expect.objectContaining({
        code: 'HOST_UNSUPPORTED',
        message: 'This host has no GPU nvidia.com/gpu=7',
        hint: 'There are: nvidia.com/gpu=0, nvidia.com/gpu=1, nvidia.com/gpu=all. Change run.gpus.',
      }),
    );
  });
});

describe('without one, device nodes and environment', () => {
  const nvidia = {
    nodes: ['/dev/nvidia0', '/dev/nvidia1', '/dev/nvidiactl', '/dev/nvidia-uvm'],
    environment: { NVIDIA_VISIBLE_DEVICES: '0,1', NVIDIA_DRIVER_CAPABILITIES: 'all' },
  };
  it.each<[string, GpuSetting, GpuGrant]>([
    ['NVIDIA', 'nvidia', grant({ nodes: nvidia.nodes }, nvidia.environment)],
    [
      'one of NVIDIA',
      'nvidia:1',
      grant(
        { nodes: ['/dev/nvidia1', '/dev/nvidiactl', '/dev/nvidia-uvm'] },
        { NVIDIA_VISIBLE_DEVICES: '1', NVIDIA_DRIVER_CAPABILITIES: 'all' },
      ),
    ],
    ['Intel', 'intel', grant({ nodes: ['/dev/dri/renderD129'] })],
    [
      'AMD, whose nodes belong to a group',
      'amd',
      grant(
        { nodes: ['/dev/dri/renderD128', '/dev/dri/renderD130', '/dev/kfd'], keepGroups: true },
        { ROCR_VISIBLE_DEVICES: '0,1', HIP_VISIBLE_DEVICES: '0,1' },
      ),
    ],
    [
      'one of AMD, the only one it sees',
      'amd:1',
      grant(
        { nodes: ['/dev/dri/renderD130', '/dev/kfd'], keepGroups: true },
        { ROCR_VISIBLE_DEVICES: '0', HIP_VISIBLE_DEVICES: '0' },
      ),
    ],
  ])('are those of %s', (_, setting, expected) => {
    expect(plan(setting, raw)).toEqual(expected);
  });

  it('of every vendor that is there, for "all"', () => {
    const { devices, environment } = plan('all', raw);
    expect(devices.nodes).toEqual([
      ...nvidia.nodes,
      '/dev/dri/renderD128',
      '/dev/dri/renderD130',
      '/dev/kfd',
      '/dev/dri/renderD129',
    ]);
    expect(Object.keys(environment)).toHaveLength(4);
  });

  it('mix with CDI where only one vendor has a specification', () => {
    const { devices } = plan(['intel', 'nvidia:0'], { ...raw, cdi: withCdi.cdi });
    expect(devices).toMatchObject({ cdi: ['nvidia.com/gpu=0'], nodes: ['/dev/dri/renderD129'] });
  });

  it('of a group are refused to root, whose containers share none', () => {
    expect(() => plan('amd', raw, false)).toThrow('cannot be used by containers of root');
    expect(plan('intel', raw, false).devices).toMatchObject({ keepGroups: false });
  });
});

describe('a GPU asked for and absent', () => {
  it('is an error that says where it was looked', () => {
    expect(() => plan('all', nothing)).toThrow(
      expect.objectContaining({
        code: 'HOST_UNSUPPORTED',
        message: 'No GPU was found on this host',
        hint: expect.stringContaining('nvidia-ctk cdi generate'),
        details: 'looked at /etc/cdi/*.{yaml,json}, /dev/nvidia*',
      }),
    );
    expect(() => plan('intel', withCdi)).toThrow('This host has no intel GPU');
    expect(() => plan(['nvidia', 'amd'], withCdi)).toThrow('This host has no amd GPU');
    expect(() => plan('nvidia:2', raw)).toThrow('This host has no GPU nvidia:2');
  });

  it('names the specification that is broken, and does not go around it', () => {
    const problems = [{ file: '/etc/cdi/nvidia.yaml', problem: 'cannot be read (EACCES)' }];
    for (const hardware of [nothing, raw]) {
      expect(() => plan('nvidia', { ...hardware, problems })).toThrow(
        expect.objectContaining({
          details: expect.stringContaining('/etc/cdi/nvidia.yaml: cannot be read (EACCES)'),
          hint: expect.stringContaining('Mend /etc/cdi/nvidia.yaml'),
        }),
      );
    }
    expect(plan('nvidia', { ...withCdi, problems })).toEqual(grant({ cdi: ['nvidia.com/gpu=all'] }));
  });
});

describe('run.gpus', () => {
  it.each([
    '0',
    'nvidia:x',
    'nvidia:',
    'matrox',
    '',
    [],
    0,
    ['all', '1'],
    'nvidia.com/gpu=0',
    'nvidia:1 --privileged',
  ])('refuses %j', (setting) => {
    expect(GpuSetting.safeParse(setting).success).toBe(false);
  });

  it('false is none, whatever there is', () => {
    expect(plan(false, raw)).toEqual(NO_GPU);
  });
});
