import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { GpuVendor } from './contract.ts';
import type { DeviceNode, GpuHardware } from './gpu-hardware.ts';

export interface DeviceRoots {
  /** `/dev` */
  readonly dev: string;
  /** `/sys` */
  readonly sys: string;
}

/** PCI vendors, as `/sys/class/drm/<node>/device/vendor` names them. */
const VENDORS = new Map<string, GpuVendor>([
  ['0x10de', 'nvidia'],
  ['0x1002', 'amd'],
  ['0x8086', 'intel'],
]);

const NVIDIA_SHARED = ['nvidiactl', 'nvidia-uvm', 'nvidia-uvm-tools'] as const;

/** Finds the device nodes of GPUs. What is absent is left out. */
export async function loadDeviceNodes({
  dev,
  sys,
}: DeviceRoots): Promise<Pick<GpuHardware, 'nodes' | 'shared'>> {
  const [nvidia, nvidiaShared, kfd, render] = await Promise.all([
    numbered(dev, /^nvidia([0-9]+)$/),
    present(NVIDIA_SHARED.map((name) => path.join(dev, name))),
    present([path.join(dev, 'kfd')]),
    renderNodes(path.join(dev, 'dri'), path.join(sys, 'class/drm')),
  ]);
  const rendering = (vendor: GpuVendor): readonly DeviceNode[] =>
    render.filter((node) => node.vendor === vendor).map(({ node }) => node);
  return {
    nodes: { nvidia, amd: rendering('amd'), intel: rendering('intel') },
    shared: { nvidia: nvidiaShared, amd: kfd, intel: [] },
  };
}

async function renderNodes(
  directory: string,
  classes: string,
): Promise<readonly { readonly node: DeviceNode; readonly vendor: GpuVendor | undefined }[]> {
  const nodes = await numbered(directory, /^renderD([0-9]+)$/);
  return await Promise.all(
    nodes.map(async (node) => {
      const file = path.join(classes, path.basename(node.path), 'device/vendor');
      return { node, vendor: VENDORS.get((await readFile(file, 'utf8').catch(() => '')).trim()) };
    }),
  );
}

/** Nodes of a directory whose name has a number, in its order. */
async function numbered(directory: string, pattern: RegExp): Promise<readonly DeviceNode[]> {
  const names = await readdir(directory).catch(() => []);
  const found = names.flatMap((name) => {
    const number = pattern.exec(name)?.[1];
    return number === undefined ? [] : [{ name, number: Number(number) }];
  });
  found.sort((a, b) => a.number - b.number);
  return await present(found.map(({ name }) => path.join(directory, name)));
}

async function present(files: readonly string[]): Promise<readonly DeviceNode[]> {
  const nodes = await Promise.all(
    files.map(async (file) => {
      const info = await stat(file).catch(() => undefined);
      return info === undefined ? [] : [{ path: file, isOpenToAll: (info.mode & 0o006) === 0o006 }];
    }),
  );
  return nodes.flat();
}
