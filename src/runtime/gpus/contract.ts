import { z } from 'zod';
import type { Devices } from '../engine/contract.ts';

export const GpuVendor = z.enum(['nvidia', 'amd', 'intel']);
export type GpuVendor = z.infer<typeof GpuVendor>;

const selector = z
  .string()
  .regex(
    /^(?:all|(?:nvidia|amd|intel)(?::(?:all|[0-9]{1,3}))?)$/,
    '"all", a vendor (nvidia, amd, intel) or "vendor:index"',
  );

/** `run.gpus`: which GPUs of the host a task gets. A bare number is refused: of which vendor would it be? */
export const GpuSetting = z
  .union([z.boolean(), selector, z.array(selector).min(1).max(16)])
  .describe('GPUs for tasks: all, a vendor, "vendor:index", or a list of these. false: none.');
export type GpuSetting = z.infer<typeof GpuSetting>;

export interface GpuGrant {
  readonly devices: Devices;
  readonly environment: Readonly<Record<string, string>>;
}

export interface Gpus {
  /** Finds what a setting asks for. Throws HostError naming what is absent: a task without its GPU does not start. */
  grant(setting: GpuSetting): Promise<GpuGrant>;
}

/** No GPU, which is the default. */
export const NO_GPU: GpuGrant = {
  devices: { cdi: [], nodes: [], keepGroups: false },
  environment: {},
};
