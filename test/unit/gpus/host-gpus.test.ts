import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NO_GPU } from '../../../src/runtime/gpus/contract.ts';
import { HostGpus } from '../../../src/runtime/gpus/host-gpus.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync('/tmp/tk-gpu-');
});
afterEach(() => rmSync(root, { recursive: true }));

function write(file: string, content = '', mode = 0o666): void {
  const target = path.join(root, file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, content);
  chmodSync(target, mode);
}

function render(number: number, vendor: string, mode = 0o666): void {
  write(`dev/dri/renderD${number}`, '', mode);
  write(`sys/class/drm/renderD${number}/device/vendor`, `${vendor}\n`);
}

const gpus = (): HostGpus =>
  new HostGpus({
    cdiDirectories: [path.join(root, 'etc-cdi'), path.join(root, 'run-cdi')],
    roots: { dev: path.join(root, 'dev'), sys: path.join(root, 'sys') },
    isRootless: true,
  });

describe('the GPUs of a host', () => {
  it('are found in the CDI specifications of both directories, in YAML and JSON', async () => {
    write(
      'etc-cdi/nvidia.yaml',
      'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: "0"\n  containerEdits: {}\n- name: all\n',
    );
    write('run-cdi/intel.json', JSON.stringify({ kind: 'intel.com/gpu', devices: [{ name: 'card0' }] }));
    write('run-cdi/notes.txt', 'not: a: specification');
    expect((await gpus().grant(true)).devices.cdi).toEqual(['nvidia.com/gpu=all', 'intel.com/gpu=card0']);
  });

  it('are found among device nodes by number and PCI vendor', async () => {
    for (const name of ['nvidia0', 'nvidia10', 'nvidia2', 'nvidiactl', 'nvidia-modeset', 'kfd'])
      write(`dev/${name}`);
    render(128, '0x8086');
    render(129, '0x1002', 0o660);
    render(130, '0x1af4');
    const under = (names: readonly string[]) => names.map((name) => path.join(root, 'dev', name));
    expect((await gpus().grant('nvidia')).devices.nodes).toEqual(
      under(['nvidia0', 'nvidia2', 'nvidia10', 'nvidiactl']),
    );
    expect((await gpus().grant('intel')).devices).toMatchObject({
      nodes: under(['dri/renderD128']),
      keepGroups: false,
    });
    expect((await gpus().grant('amd')).devices).toMatchObject({
      nodes: under(['dri/renderD129', 'kfd']),
      keepGroups: true,
    });
  });

  it.each<[string, string]>([
    ['kind: [', 'line 1'],
    ['devices: []', 'kind'],
    ['kind: nvidia\ndevices: []', 'vendor/class'],
    ['kind: nvidia.com/gpu\ndevices:\n- containerEdits: {}', 'name'],
    ['- just a list', 'object'],
  ])('a specification like %j is named with what is wrong', async (content, problem) => {
    write('etc-cdi/nvidia.yaml', content);
    await expect(gpus().grant('nvidia')).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      details: expect.stringMatching(new RegExp(`^${root}/etc-cdi/nvidia.yaml: .*${problem}`)),
    });
  });

  it('a specification that is a named pipe holds nobody', async () => {
    mkdirSync(path.join(root, 'run-cdi'));
    execFileSync('mkfifo', [path.join(root, 'run-cdi/nvidia.json')]);
    await expect(gpus().grant('all')).rejects.toMatchObject({
      details: expect.stringContaining('is not a regular file'),
    });
  });

  it('are none on a host without any, which is told with the places', async () => {
    expect(await gpus().grant(false)).toEqual(NO_GPU);
    await expect(gpus().grant('all')).rejects.toMatchObject({
      message: 'No GPU was found on this host',
      details: `looked at ${['etc-cdi/*.{yaml,json}', 'run-cdi/*.{yaml,json}', 'dev/nvidia*', 'dev/kfd', 'dev/dri/renderD*'].map((name) => path.join(root, name)).join(', ')}`,
    });
  });
});
