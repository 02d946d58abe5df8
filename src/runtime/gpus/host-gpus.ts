import path from 'node:path';
import { loadCdiSpecs } from './cdi-loader.ts';
import { type GpuGrant, type GpuSetting, type Gpus, NO_GPU } from './contract.ts';
import { type DeviceRoots, loadDeviceNodes } from './device-node-loader.ts';
import { planGrant } from './grant-plan.ts';

export interface HostGpusDeps {
  readonly cdiDirectories: readonly string[];
  readonly roots: DeviceRoots;
  readonly isRootless: boolean;
}

/** The GPUs of this host, looked for anew each time: drivers come and go. */
export class HostGpus implements Gpus {
  readonly #deps: HostGpusDeps;

  constructor(deps: HostGpusDeps) {
    this.#deps = deps;
  }

  async grant(setting: GpuSetting): Promise<GpuGrant> {
    if (setting === false) return NO_GPU;
    const { cdiDirectories, roots, isRootless } = this.#deps;
    const [specs, found] = await Promise.all([loadCdiSpecs(cdiDirectories), loadDeviceNodes(roots)]);
    const lookedAt = [
      ...cdiDirectories.map((directory) => path.join(directory, '*.{yaml,json}')),
      ...['nvidia*', 'kfd', 'dri/renderD*'].map((name) => path.join(roots.dev, name)),
    ];
    return planGrant(
      setting,
      { cdi: specs.devices, problems: specs.problems, ...found, lookedAt },
      { isRootless },
    );
  }
}
