import type { GpuVendor } from './contract.ts';

/** A device that a CDI specification offers: `nvidia.com/gpu=0` is kind `nvidia.com/gpu`, name `0`. */
export interface CdiDevice {
  readonly kind: string;
  readonly name: string;
}

/** A specification that is there and cannot be used. */
export interface SpecProblem {
  readonly file: string;
  readonly problem: string;
}

export interface DeviceNode {
  readonly path: string;
  /** Anybody may read and write it; otherwise it takes membership in its group. */
  readonly isOpenToAll: boolean;
}

/** What a host has of GPUs, as its files say. */
export interface GpuHardware {
  readonly cdi: readonly CdiDevice[];
  readonly problems: readonly SpecProblem[];
  /** By vendor, in the order of their indexes. */
  readonly nodes: Readonly<Record<GpuVendor, readonly DeviceNode[]>>;
  /** Nodes that every GPU of the vendor needs besides its own. */
  readonly shared: Readonly<Record<GpuVendor, readonly DeviceNode[]>>;
  /** Where it was looked, for people. */
  readonly lookedAt: readonly string[];
}
