import type { ContainerSpec, IdMapping, ImageBuild } from '../contract.ts';

/** Container address of a resolver that is never there: every lookup is refused by the rules, at once. */
const NO_RESOLVER = '192.0.2.53';

/**
 * `podman run` arguments of a container (pure). Everything that could weaken the sandbox is decided here
 * or absent: no capability, host namespace, device or privilege has another way in.
 */
export function runArgs(spec: ContainerSpec): readonly string[] {
  return [
    'run',
    '--detach',
    // Detached all the same: whoever attaches later finds a terminal whose input is still open.
    ...(spec.terminal ? ['--tty', '--interactive'] : []),
    '--pull=never',
    // An init as PID 1 passes signals on and reaps; without one, TERM is ignored and every stop takes the full grace.
    '--init',
    `--name=${spec.name}`,
    `--hostname=${spec.hostname}`,
    `--user=${spec.user}:${spec.user}`,
    `--workdir=${spec.workdir}`,
    ...idMappingArgs(spec.idMapping),
    '--cap-drop=all',
    ...spec.capabilities.map((capability) => `--cap-add=${capability}`),
    ...(spec.noNewPrivileges ? ['--security-opt=no-new-privileges'] : []),
    ...networkArgs(spec.network),
    ...deviceArgs(spec.devices),
    // sysfs of a foreign network namespace cannot be mounted here, and would list the host's devices.
    '--tmpfs=/sys:ro,size=4k',
    // "none" is a private IPC namespace without Podman's own /dev/shm, whose mount on the host makes removing
    // one container fail ("device or resource busy") while another starts.
    '--ipc=none',
    '--tmpfs=/dev/shm:rw,nosuid,nodev,noexec,mode=1777,size=64m',
    '--uts=private',
    '--umask=0022',
    '--image-volume=ignore',
    ...(spec.limits === undefined
      ? []
      : [
          `--memory=${spec.limits.memoryBytes}b`,
          `--memory-swap=${spec.limits.memoryBytes}b`,
          `--pids-limit=${spec.limits.pids}`,
          `--cpus=${spec.limits.cpus}`,
        ]),
    // Not what an image says: terok-init knows TERM, and a base or a person's lines may name any other.
    '--stop-signal=TERM',
    `--stop-timeout=${spec.stopTimeoutS}`,
    ...(spec.lifetimeS === undefined ? [] : [`--timeout=${spec.lifetimeS}`]),
    '--log-driver=k8s-file',
    `--log-opt=path=${spec.log.hostPath}`,
    `--log-opt=max-size=${spec.log.maxBytes}`,
    ...sortedEntries(spec.labels).map(([key, value]) => `--label=${key}=${value}`),
    ...sortedEntries(spec.environment).map(([key, value]) => `--env=${key}=${value}`),
    ...spec.mounts.map(
      (mount) => `--volume=${mount.hostPath}:${mount.containerPath}:${mount.readOnly ? 'ro' : 'rw'},Z`,
    ),
    '--',
    spec.image,
    ...spec.command,
  ];
}

/** `podman build` arguments (pure). The network is the host's: a build runs our Dockerfiles, before any agent. */
export function buildArgs(build: ImageBuild): readonly string[] {
  return [
    'build',
    '--pull=never',
    '--network=host',
    '--format=oci',
    '--layers',
    '--force-rm',
    ...(build.noCache ? ['--no-cache'] : []),
    `--file=${build.dockerfile}`,
    ...(build.tag === undefined ? [] : [`--tag=${build.tag}`]),
    ...build.volumes.map(
      (volume) => `--volume=${volume.hostPath}:${volume.containerPath}:${volume.readOnly ? 'ro' : 'rw'},z`,
    ),
    ...sortedEntries(build.buildArguments).map(([key, value]) => `--build-arg=${key}=${value}`),
    ...sortedEntries(build.labels).map(([key, value]) => `--label=${key}=${value}`),
    '--',
    build.context,
  ];
}

/** Nothing but these devices is added: no capability, privilege or device rule goes with them. */
function deviceArgs({ cdi, nodes, keepGroups }: ContainerSpec['devices']): readonly string[] {
  return [
    ...cdi.map((device) => `--device=${device}`),
    ...nodes.map((node) => `--device=${node}`),
    // Only crun can; runc takes the argument and keeps no group.
    ...(keepGroups ? ['--group-add=keep-groups'] : []),
  ];
}

export function idMappingArgs(mapping: IdMapping): readonly string[] {
  switch (mapping.kind) {
    case 'keep-id':
      return [`--userns=keep-id:uid=${mapping.user},gid=${mapping.user}`];
    case 'range':
      return [
        `--uidmap=0:${mapping.hostStart}:${mapping.size}`,
        `--gidmap=0:${mapping.hostStart}:${mapping.size}`,
      ];
  }
}

function networkArgs(network: ContainerSpec['network']): readonly string[] {
  switch (network.kind) {
    case 'none':
      return ['--network=none'];
    case 'namespace':
      return [
        `--network=ns:${network.path}`,
        `--dns=${NO_RESOLVER}`,
        '--dns-opt=timeout:1',
        '--dns-opt=attempts:1',
      ];
    case 'open':
      return [
        // Neither the gateway nor any forwarded port leads to the host's loopback.
        network.program === 'slirp4netns'
          ? '--network=slirp4netns:allow_host_loopback=false,port_handler=slirp4netns'
          : '--network=pasta:--no-map-gw,-T,none,-U,none',
        ...network.loopbackPorts.map((port) => `--publish=127.0.0.1:${port}:${port}`),
      ];
  }
}

const sortedEntries = (record: Readonly<Record<string, string>>): readonly (readonly [string, string])[] =>
  Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
