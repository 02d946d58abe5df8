import { createHash } from 'node:crypto';
import path from 'node:path';
import { InvalidInputError } from './errors.ts';

/** Where everything lives; all paths absolute. Computed once, from the environment, by `resolvePaths`. */
export interface Paths {
  readonly home: string;
  /** `config.yml`, `projects/<id>/project.yml`: what the person edits. */
  readonly config: string;
  readonly projects: string;
  /** `state.db`, gates, tasks, archive: what must survive a reboot. */
  readonly state: string;
  readonly database: string;
  readonly gates: string;
  readonly tasks: string;
  /** Downloads and built base archives; may be deleted at any time. */
  readonly cache: string;
  /** Sockets, pins, pid files: rebuilt at any start. */
  readonly runtime: string;
  readonly daemonSocket: string;
  readonly daemonLog: string;
  /** The directory mounted into one task's container is `<services>/<task>`. */
  readonly services: string;
  /** Pinned network namespaces and the pid files of their user-mode network. */
  readonly networks: string;
  readonly podman: PodmanPaths;
  /** Separates the containers of daemons that share one Podman store (tests, several state directories). */
  readonly instance: string;
  /** `$XDG_RUNTIME_DIR` as handed to Podman. */
  readonly xdgRuntime: string;
}

/** Our own Podman store: the user's containers, images and configuration are never touched. */
export interface PodmanPaths {
  readonly graphRoot: string;
  readonly runRoot: string;
  readonly tmpDir: string;
  readonly containersConf: string;
}

export interface PathsInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly uid: number;
  /** Whether a directory exists and belongs to this user; asked once, for `/run/user/<uid>`. */
  readonly ownsDirectory: (directory: string) => boolean;
}

/** `sun_path` holds 108 bytes with its terminator (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * XDG directories, each replaceable by a `TEROK_*` variable. For root the state lives in /var/lib/terok:
 * Podman opens every parent of a container's root file system to the mapped user (o+x), which must not
 * happen to /root.
 */
export function resolvePaths(input: PathsInput): Paths {
  const { env, home, uid } = input;
  const isRoot = uid === 0;
  const variable = (name: string): string | undefined => {
    const value = env[name];
    if (value === undefined || value === '') return undefined;
    if (!path.isAbsolute(value)) {
      throw new InvalidInputError(`${name} must be an absolute path, not "${value}"`, {
        hint: `Set ${name} to an absolute path or unset it.`,
      });
    }
    return path.resolve(value);
  };
  const configHome = variable('XDG_CONFIG_HOME') ?? path.join(home, '.config');
  const dataHome = variable('XDG_DATA_HOME') ?? (isRoot ? '/var/lib' : path.join(home, '.local/share'));
  const cacheHome = variable('XDG_CACHE_HOME') ?? (isRoot ? '/var/cache' : path.join(home, '.cache'));
  const xdgRuntime = variable('XDG_RUNTIME_DIR') ?? fallbackRuntimeDir(input);

  const config = variable('TEROK_CONFIG_DIR') ?? path.join(configHome, 'terok');
  const dataRoot = path.join(dataHome, 'terok');
  const state = variable('TEROK_STATE_DIR') ?? dataRoot;
  const runtime = variable('TEROK_RUNTIME_DIR') ?? path.join(xdgRuntime, 'terok');
  const podmanRun = isRoot ? '/run/terok-podman' : path.join(xdgRuntime, 'terok-podman');
  const paths: Paths = {
    home,
    config,
    projects: path.join(config, 'projects'),
    state,
    database: path.join(state, 'state.db'),
    gates: path.join(state, 'gate'),
    tasks: path.join(state, 'core/tasks'),
    cache: path.join(cacheHome, 'terok'),
    runtime,
    daemonSocket: path.join(runtime, 'daemon.sock'),
    daemonLog: path.join(state, 'daemon.log'),
    services: path.join(runtime, 'tasks'),
    networks: path.join(runtime, 'netns'),
    podman: {
      graphRoot: path.join(dataRoot, 'containers'),
      runRoot: path.join(podmanRun, 'run'),
      tmpDir: path.join(podmanRun, 'tmp'),
      containersConf: path.join(dataRoot, 'containers.conf'),
    },
    instance: createHash('sha256').update(state).digest('hex').slice(0, 12),
    xdgRuntime,
  };
  for (const [what, value] of Object.entries({ state, runtime, config })) {
    // Podman's volume syntax splits at colons and commas; a newline would split our own line formats.
    if (/[:,\n]/.test(value)) {
      throw new InvalidInputError(
        `The ${what} directory "${value}" contains a colon, a comma or a line break`,
        {
          hint: `Choose another place with TEROK_${what.toUpperCase()}_DIR.`,
        },
      );
    }
  }
  assertSocketPath(path.join(paths.services, 'k0000/ssh-agent.sock'), 'TEROK_RUNTIME_DIR');
  return paths;
}

/** Throws InvalidInputError when a unix socket at this path could not be bound. */
export function assertSocketPath(socketPath: string, variable: string): void {
  const length = Buffer.byteLength(socketPath);
  if (length <= MAX_SOCKET_PATH_BYTES) return;
  throw new InvalidInputError(
    `The socket path "${socketPath}" has ${length} bytes; the system allows ${MAX_SOCKET_PATH_BYTES}`,
    {
      hint: `Set ${variable} to a shorter directory.`,
    },
  );
}

function fallbackRuntimeDir({ uid, ownsDirectory }: PathsInput): string {
  if (uid === 0) return '/run';
  const standard = `/run/user/${uid}`;
  return ownsDirectory(standard) ? standard : `/tmp/terok-runtime-${uid}`;
}
