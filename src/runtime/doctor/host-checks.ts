import path from 'node:path';
import { asText, type Command, type CommandRunner } from '../core/command.ts';
import { HostError } from '../core/errors.ts';
import type { Paths } from '../core/paths.ts';
import type { ContainerEngine } from '../engine/contract.ts';
import type { Check } from './doctor-service.ts';

const LOW_DISK_BYTES = 2 * 1024 ** 3;
const MAX_SOCKET_PATH_BYTES = 107;
const OLDEST_GIT: readonly [number, number] = [2, 31];
const SETUP = 'Run "terok-mcp setup".';

export interface HostCheckDeps {
  readonly paths: Paths;
  readonly engine: Pick<ContainerEngine, 'info' | 'hostNamespacePrefix'>;
  readonly runner: CommandRunner;
  /** `doctor-loader.ts`; injected so that tests can have a full disk. */
  readonly freeBytes: (directory: string) => Promise<number>;
  readonly selinuxMode: () => Promise<'absent' | 'permissive' | 'enforcing'>;
}

export function hostChecks(deps: HostCheckDeps): readonly Check[] {
  return [
    engine(deps),
    limits(deps),
    network(deps),
    firewall(deps),
    git(deps),
    disk(deps),
    selinux(deps),
    sockets(deps),
  ];
}

function engine({ engine }: HostCheckDeps): Check {
  return {
    id: 'host.podman',
    run: async (signal) => {
      const info = await engine.info(signal);
      const message = `Podman ${info.version}, ${info.isRootless ? 'rootless' : 'rootful'}, storage ${info.storageDriver}, cgroups ${info.cgroupVersion}`;
      if (info.storageDriver !== 'vfs') return { level: 'ok', message };
      return {
        level: 'warn',
        message: `${message}: the vfs storage driver copies whole images for each task`,
        fix: 'Use a file system with overlay support for the state directory.',
      };
    },
  };
}

function limits({ engine }: HostCheckDeps): Check {
  return {
    id: 'host.limits',
    run: async (signal) => {
      const { limitsUnavailable } = await engine.info(signal);
      if (limitsUnavailable === undefined)
        return { level: 'ok', message: 'memory, cpu and process limits are enforced' };
      return {
        level: 'warn',
        message: `memory, cpu and process limits of tasks are not enforced: ${limitsUnavailable}`,
        fix: 'A host with cgroups v2 and a delegated user session enforces them.',
      };
    },
  };
}

function network({ runner }: HostCheckDeps): Check {
  return {
    id: 'host.network',
    run: async (signal) => {
      // In the order in which tasks choose.
      for (const file of ['slirp4netns', 'pasta'] as const) {
        const version = await firstLine(runner, { file, args: ['--version'] }, signal);
        if (version !== undefined) return { level: 'ok', message: `${file} is there (${version})` };
      }
      return {
        level: 'fail',
        message: 'neither slirp4netns nor pasta is installed: tasks have no network program',
        fix: SETUP,
      };
    },
  };
}

/** Listing asks the kernel, in the namespace where the rules will live: the program alone proves nothing. */
function firewall({ runner, engine }: HostCheckDeps): Check {
  return {
    id: 'host.nftables',
    run: async (signal) => {
      const prefix = await engine.hostNamespacePrefix(signal);
      const [file = 'nft', ...args] = [...prefix, 'nft', 'list', 'tables'];
      await runner.run({ file, args, timeoutMs: 15_000, parse: asText }, { signal });
      return { level: 'ok', message: 'nft reaches the kernel' };
    },
  };
}

function git({ runner }: HostCheckDeps): Check {
  return {
    id: 'host.git',
    run: async (signal) => {
      const version = await firstLine(runner, { file: 'git', args: ['--version'] }, signal);
      if (version === undefined) return { level: 'fail', message: 'git is not installed', fix: SETUP };
      const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(version) ?? [];
      const isOld =
        Number(major) < OLDEST_GIT[0] || (Number(major) === OLDEST_GIT[0] && Number(minor) < OLDEST_GIT[1]);
      if (!isOld) return { level: 'ok', message: version };
      return {
        level: 'fail',
        message: `${version} is too old`,
        fix: `Install git ${OLDEST_GIT.join('.')} or newer.`,
      };
    },
  };
}

function disk({ paths, freeBytes }: HostCheckDeps): Check {
  return {
    id: 'host.disk',
    run: async () => {
      const places = [...new Set([paths.state, paths.podman.graphRoot])];
      const free = await Promise.all(places.map(async (place) => ({ place, bytes: await freeBytes(place) })));
      const least = free.reduce((a, b) => (b.bytes < a.bytes ? b : a));
      const message = `${(least.bytes / 1024 ** 3).toFixed(1)} GiB free at ${least.place}`;
      if (least.bytes >= LOW_DISK_BYTES) return { level: 'ok', message };
      return { level: 'warn', message, fix: 'Delete tasks that are no longer needed, or free space.' };
    },
  };
}

function selinux({ selinuxMode }: HostCheckDeps): Check {
  return {
    id: 'host.selinux',
    run: async () => {
      const mode = await selinuxMode();
      if (mode === 'absent') return { level: 'ok', message: 'SELinux is not in use' };
      if (mode === 'permissive')
        return { level: 'ok', message: 'SELinux is permissive: it notes denials and denies nothing' };
      // Labels of files are seen to at the mount; who may connect to whose socket is a rule between processes.
      return {
        level: 'warn',
        message:
          'SELinux is enforcing: mounted directories are relabelled, but its policy may keep containers (container_t) from connecting to the gate and the relay, which are unix sockets of a host process',
        fix: 'If tasks cannot reach the gate, see "ausearch -m avc -ts recent"; a local policy module ("audit2allow -M") that allows container_t connectto on unix_stream_socket lets them.',
      };
    },
  };
}

function sockets({ paths }: HostCheckDeps): Check {
  return {
    id: 'host.runtime-dir',
    run: async () => {
      const longest = Buffer.byteLength(path.join(paths.services, 'k0000/ssh-agent.sock'));
      const message = `${paths.runtime}; the longest socket path has ${longest} of ${MAX_SOCKET_PATH_BYTES} bytes`;
      if (longest <= MAX_SOCKET_PATH_BYTES) return { level: 'ok', message };
      return { level: 'fail', message, fix: 'Set TEROK_RUNTIME_DIR to a shorter directory.' };
    },
  };
}

/** Undefined when the program is not installed. */
async function firstLine(
  runner: CommandRunner,
  command: Pick<Command, 'file' | 'args'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const parse = ({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }) =>
      `${stdout}\n${stderr}`;
    const output = await runner.run({ ...command, okCodes: [0, 1], timeoutMs: 10_000, parse }, { signal });
    return (
      output
        .split('\n')
        .find((line) => line.trim() !== '')
        ?.trim() ?? ''
    );
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}
