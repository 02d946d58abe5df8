import { HostError } from '../core/errors.ts';
import type { EngineInfo } from '../engine/contract.ts';
import type { GpuGrant } from '../gpus/contract.ts';

/**
 * A node that only its group may open is of use only where that group comes along, and of the OCI runtimes crun
 * alone does that; with another one the task would start, and not be able to open its GPU. Throws HostError.
 */
export function assertUsable(gpu: GpuGrant, engine: Pick<EngineInfo, 'ociRuntime'>): void {
  if (!gpu.devices.keepGroups || engine.ociRuntime === 'crun') return;
  throw new HostError(
    `${gpu.devices.nodes.join(', ')} belong to a group, and ${engine.ociRuntime} cannot take a person's groups along`,
    { hint: 'Make a CDI specification for the GPU, install crun, or open the device nodes to all.' },
  );
}
