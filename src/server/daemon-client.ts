import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { HostError } from '../runtime/core/errors.ts';
import type { Paths } from '../runtime/core/paths.ts';
import { type DaemonProtocol, preface } from './daemon-protocol.ts';
import type { Host } from './host.ts';

const START_DEADLINE_MS = 15_000;
const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 200;
const FIRST_RELAUNCH_MS = 250;
const LAST_RELAUNCH_MS = 2_000;

/**
 * A connection to the daemon, which is started when it does not run. Throws HostError when it does not come up:
 * with the end of its log, or with who holds its place.
 */
export async function dialDaemon(host: Host, paths: Paths, protocol: DaemonProtocol): Promise<Socket> {
  const socket = (await tryConnect(host, paths)) ?? (await startAndConnect(host, paths));
  socket.write(preface(protocol));
  return socket;
}

/** Like `dialDaemon`, but undefined when no daemon runs. */
export async function dialRunningDaemon(
  host: Host,
  paths: Paths,
  protocol: DaemonProtocol,
): Promise<Socket | undefined> {
  const socket = await tryConnect(host, paths);
  socket?.write(preface(protocol));
  return socket;
}

async function startAndConnect(host: Host, paths: Paths): Promise<Socket> {
  const { launchDaemon } = await import('./daemon-launcher.ts');
  let daemon = launchDaemon(host, paths);
  let relaunchAt: number | undefined;
  let patienceMs = FIRST_RELAUNCH_MS;
  const deadline = Date.now() + START_DEADLINE_MS;
  for (let waitMs = FIRST_RETRY_MS; Date.now() < deadline; waitMs = Math.min(waitMs * 1.5, LAST_RETRY_MS)) {
    await delay(waitMs);
    const socket = await tryConnect(host, paths);
    if (socket !== undefined) return socket;
    const exitCode = daemon.exitCode();
    if (exitCode === undefined) continue;
    if (exitCode !== 0) {
      throw new HostError('The terok-mcp daemon could not start', {
        hint: `Its log is ${paths.daemonLog}; "terok-mcp setup --check" says what the host lacks.`,
        details: daemon.lastLogLines(),
      });
    }
    // Code 0: another process holds the place. It will listen in a moment, listens elsewhere, or is just leaving.
    if (relaunchAt === undefined) {
      await refuseIfElsewhere(host, paths);
      relaunchAt = Date.now() + patienceMs;
    } else if (Date.now() >= relaunchAt) {
      daemon = launchDaemon(host, paths);
      patienceMs = Math.min(patienceMs * 2, LAST_RELAUNCH_MS);
      relaunchAt = undefined;
    }
  }
  const { describeSilence } = await import('./daemon-absence.ts');
  throw await describeSilence(paths, { seconds: START_DEADLINE_MS / 1000, log: daemon.lastLogLines() });
}

/** A daemon that answers at another place is not leaving: waiting for it would be in vain. */
async function refuseIfElsewhere(host: Host, paths: Paths): Promise<void> {
  const { describeElsewhere, findElsewhere } = await import('./daemon-absence.ts');
  const holder = await findElsewhere(paths);
  if (holder === undefined) return;
  const socket = await tryConnect(host, {
    runtime: path.dirname(holder.socketPath),
    daemonSocket: holder.socketPath,
  }).catch(() => undefined);
  if (socket === undefined) return;
  socket.destroy();
  throw describeElsewhere(paths, holder);
}

/** A socket in somebody else's directory would be somebody else's daemon: it counts as none. */
async function tryConnect(
  host: Host,
  paths: Pick<Paths, 'runtime' | 'daemonSocket'> & Partial<Pick<Paths, 'xdgRuntime'>>,
): Promise<Socket | undefined> {
  // A directory above it that is another user's could be swapped under us.
  const { xdgRuntime } = paths;
  const isBelow = xdgRuntime !== undefined && paths.runtime.startsWith(`${xdgRuntime}/`);
  const above = isBelow ? [xdgRuntime] : [];
  if (![paths.runtime, ...above].every((directory) => host.ownsDirectory(directory))) return undefined;
  return await new Promise((resolve, reject) => {
    const socket = connect(paths.daemonSocket);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else
        reject(
          new HostError(
            `The daemon's socket ${paths.daemonSocket} cannot be used (${error.code ?? error.message})`,
            {
              cause: error,
            },
          ),
        );
    });
  });
}
