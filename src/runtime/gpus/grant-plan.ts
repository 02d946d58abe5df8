import { HostError } from '../core/errors.ts';
import { type GpuGrant, type GpuSetting, GpuVendor, NO_GPU } from './contract.ts';
import type { DeviceNode, GpuHardware } from './gpu-hardware.ts';

/** All GPUs of one vendor, or those of these indexes. */
type Wanted = 'all' | readonly number[];

/**
 * What a setting comes to on this hardware (pure): CDI where a specification offers it, device nodes otherwise.
 * Throws HostError naming what is absent.
 */
export function planGrant(
  setting: GpuSetting,
  hardware: GpuHardware,
  host: { readonly isRootless: boolean },
): GpuGrant {
  const grants = [...wantedByVendor(setting, hardware)].map(([vendor, wanted]) =>
    grantOf(vendor, wanted, hardware, host.isRootless),
  );
  return {
    devices: {
      cdi: grants.flatMap(({ devices }) => devices.cdi),
      nodes: grants.flatMap(({ devices }) => devices.nodes),
      keepGroups: grants.some(({ devices }) => devices.keepGroups),
    },
    environment: Object.assign({}, ...grants.map(({ environment }) => environment)),
  };
}

function wantedByVendor(setting: GpuSetting, hardware: GpuHardware): ReadonlyMap<GpuVendor, Wanted> {
  const wanted = new Map<GpuVendor, Wanted>();
  for (const selector of selectorsOf(setting)) {
    const [first = '', index = 'all'] = selector.split(':');
    const vendors = first === 'all' ? presentVendors(hardware) : [GpuVendor.parse(first)];
    for (const vendor of vendors) {
      const known = wanted.get(vendor) ?? [];
      if (index === 'all' || known === 'all') wanted.set(vendor, 'all');
      else
        wanted.set(
          vendor,
          [...new Set([...known, Number(index)])].sort((a, b) => a - b),
        );
    }
  }
  return wanted;
}

function selectorsOf(setting: GpuSetting): readonly string[] {
  if (typeof setting === 'boolean') return setting ? ['all'] : [];
  return typeof setting === 'string' ? [setting] : setting;
}

function presentVendors(hardware: GpuHardware): readonly GpuVendor[] {
  const present = GpuVendor.options.filter(
    (vendor) => cdiNames(vendor, hardware).length > 0 || hardware.nodes[vendor].length > 0,
  );
  if (present.length === 0) throw absent('No GPU was found on this host', hardware);
  return present;
}

function grantOf(vendor: GpuVendor, wanted: Wanted, hardware: GpuHardware, isRootless: boolean): GpuGrant {
  const names = cdiNames(vendor, hardware);
  if (names.length > 0)
    return { ...NO_GPU, devices: { ...NO_GPU.devices, cdi: byCdi(vendor, wanted, names) } };
  const all = hardware.nodes[vendor];
  if (all.length === 0) throw absent(`This host has no ${vendor} GPU`, hardware);
  // A broken specification may be the very one that was meant to hand this GPU out.
  if (hardware.problems.length > 0) throw absent(`How to hand out ${vendor} GPUs is not clear`, hardware);
  const indexes = wanted === 'all' ? all.map((_, index) => index) : wanted;
  const chosen = indexes.map((index) => {
    const node = all[index];
    if (node !== undefined) return node;
    throw missing(
      `${vendor}:${index}`,
      all.map((_, known) => `${vendor}:${known}`),
    );
  });
  const nodes: readonly DeviceNode[] = [...chosen, ...hardware.shared[vendor]];
  const closed = nodes.filter(({ isOpenToAll }) => !isOpenToAll).map(({ path }) => path);
  if (closed.length > 0 && !isRootless) throw closedToRoot(closed);
  return {
    devices: {
      cdi: [],
      nodes: nodes.map(({ path }) => path),
      keepGroups: closed.length > 0,
    },
    environment: environmentOf(vendor, indexes),
  };
}

function byCdi(vendor: GpuVendor, wanted: Wanted, names: readonly string[]): readonly string[] {
  const qualified = (name: string): string => `${kindOf(vendor)}=${name}`;
  if (wanted === 'all') return names.includes('all') ? [qualified('all')] : names.map(qualified);
  return wanted.map((index) => {
    if (names.includes(String(index))) return qualified(String(index));
    throw missing(qualified(String(index)), names.map(qualified));
  });
}

/** A CDI specification says itself what its devices need; this is for device nodes alone. */
function environmentOf(vendor: GpuVendor, indexes: readonly number[]): Readonly<Record<string, string>> {
  switch (vendor) {
    case 'nvidia':
      return { NVIDIA_VISIBLE_DEVICES: indexes.join(','), NVIDIA_DRIVER_CAPABILITIES: 'all' };
    case 'amd': {
      // Counted among those that can be opened, which are the granted ones.
      const visible = indexes.map((_, position) => position).join(',');
      return { ROCR_VISIBLE_DEVICES: visible, HIP_VISIBLE_DEVICES: visible };
    }
    case 'intel':
      return {};
  }
}

const kindOf = (vendor: GpuVendor): string => `${vendor}.com/gpu`;

const cdiNames = (vendor: GpuVendor, { cdi }: GpuHardware): readonly string[] => [
  ...new Set(cdi.filter(({ kind }) => kind === kindOf(vendor)).map(({ name }) => name)),
];

function missing(what: string, there: readonly string[]): HostError {
  return new HostError(`This host has no GPU ${what}`, {
    hint: `There are: ${there.join(', ')}. Change run.gpus.`,
  });
}

/** Container ids of root map to none of the host's groups, so there is none to keep. */
function closedToRoot(nodes: readonly string[]): HostError {
  return new HostError(`${nodes.join(' and ')} cannot be used by containers of root`, {
    hint: 'Only their group may open them. Let everybody read and write them (a udev rule), or run terok-mcp as a user of that group.',
  });
}

function absent(message: string, { problems, lookedAt }: GpuHardware): HostError {
  return new HostError(message, {
    hint:
      problems.length > 0
        ? `Mend ${problems.map(({ file }) => file).join(', ')}, or make it anew (NVIDIA: "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml").`
        : 'Make a CDI specification (NVIDIA: "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"), load the driver, or set run.gpus to false.',
    details: [
      ...problems.map(({ file, problem }) => `${file}: ${problem}`),
      `looked at ${lookedAt.join(', ')}`,
    ].join('\n'),
  });
}
