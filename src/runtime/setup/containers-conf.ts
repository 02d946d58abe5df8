import { readTextIfExists, writeFileAtomic } from '../core/files.ts';
import type { SetupStep } from './contract.ts';
import { failing, fine } from './finding.ts';
import { hostPathExists, readHostFile } from './host-loader.ts';

const ID = 'host.containers-conf';

export interface ContainersHost {
  readonly isRoot: boolean;
  readonly isCgroupV2: boolean;
  readonly hasCrun: boolean;
  readonly hasSystemd: boolean;
  /** Hard limits of this process; `undefined` is "unlimited". */
  readonly maxOpenFiles: number | undefined;
  readonly maxProcesses: number | undefined;
  readonly pidMax: number | undefined;
}

const FILES_WANTED = 1_048_576;

/**
 * Podman's configuration for our own store. It replaces the user's and the distribution's files, so that a
 * task behaves the same whatever those say; capabilities are set container by container.
 */
export function renderContainersConf(host: ContainersHost): string {
  // crun refuses hosts with version 1 controllers beside a version 2 mount.
  const runtime = host.isCgroupV2 && host.hasCrun ? 'crun' : 'runc';
  const lines = [
    '# Written by "terok-mcp setup", and again whenever the host changes. Do not edit.',
    '[containers]',
    // ping_group_range, the default, cannot be written from a nested user namespace.
    'default_sysctls = []',
    'log_driver = "k8s-file"',
    // Without a session keyring of its own, a container reads and writes the one its daemon was started in.
    'keyring = true',
    ...(host.isRoot ? [`default_ulimits = [${ulimits(host).join(', ')}]`] : []),
    '[engine]',
    `runtime = "${runtime}"`,
    ...(host.hasSystemd ? [] : ['cgroup_manager = "cgroupfs"']),
    'events_logger = "file"',
    'lock_type = "file"',
    // Each exec keeps its monitor for this long; five minutes is the default.
    'exit_command_delay = 5',
  ];
  return `${lines.join('\n')}\n`;
}

/** Root may lack CAP_SYS_RESOURCE: asking for more than the hard limit then fails every start. */
function ulimits(host: ContainersHost): readonly string[] {
  const files = Math.min(host.maxOpenFiles ?? FILES_WANTED, FILES_WANTED);
  const processes = Math.min(host.maxProcesses ?? Number.POSITIVE_INFINITY, host.pidMax ?? 32_768);
  return [`"nofile=${files}:${files}"`, `"nproc=${processes}:${processes}"`];
}

/** Hard limit of one row of /proc/<pid>/limits; undefined when unlimited or absent. */
export function hardLimit(limitsText: string, row: string): number | undefined {
  const line = limitsText.split('\n').find((text) => text.startsWith(row));
  const hard = line === undefined ? undefined : /^\s+\S+\s+(\S+)/.exec(line.slice(row.length))?.[1];
  return hard === undefined || !/^[0-9]+$/.test(hard) ? undefined : Number(hard);
}

/** Whether version 2 is the only cgroup hierarchy: its controllers file stands at the root of the mount. */
export const isCgroupV2 = async (): Promise<boolean> =>
  await hostPathExists('/sys/fs/cgroup/cgroup.controllers');

export async function inspectContainersHost(options: {
  readonly isRoot: boolean;
  readonly hasCrun: boolean;
}): Promise<ContainersHost> {
  const [limits = '', pidMax, hasSystemd, isV2] = await Promise.all([
    readHostFile('/proc/self/limits'),
    readHostFile('/proc/sys/kernel/pid_max'),
    hostPathExists('/run/systemd/system'),
    isCgroupV2(),
  ]);
  return {
    ...options,
    isCgroupV2: isV2,
    hasSystemd,
    maxOpenFiles: hardLimit(limits, 'Max open files'),
    maxProcesses: hardLimit(limits, 'Max processes'),
    pidMax: pidMax === undefined ? undefined : Number(pidMax),
  };
}

export function containersConfStep(deps: {
  readonly file: string;
  readonly host: () => Promise<ContainersHost>;
}): SetupStep {
  return {
    id: ID,
    title: "Writing Podman's configuration for tasks",
    check: async () => {
      const [present, wanted] = await Promise.all([
        readTextIfExists(deps.file),
        deps.host().then(renderContainersConf),
      ]);
      if (present === wanted) return fine(ID, `${deps.file} is up to date`);
      const message = `${deps.file} is ${present === undefined ? 'missing' : 'out of date'}`;
      return failing(ID, message, 'Run "terok-mcp setup".');
    },
    apply: async () => {
      await writeFileAtomic(deps.file, renderContainersConf(await deps.host()), 0o644);
    },
  };
}
