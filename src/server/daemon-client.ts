import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { HostError } from '../runtime/core/errors.ts';
import type { Paths } from '../runtime/core/paths.ts';
import { type DaemonProtocol, preface } from './daemon-protocol.ts';
import type { Host } from './host.ts';

const START_DEADLINE_MS = 15_000;
const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 200;

/**
 * A connection to the daemon, which is started when it does not run. Throws HostError with the end of the
 * daemon's log when it does not come up.
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
  const daemon = launchDaemon(host, paths);
  const deadline = Date.now() + START_DEADLINE_MS;
  for (let waitMs = FIRST_RETRY_MS; Date.now() < deadline; waitMs = Math.min(waitMs * 1.5, LAST_RETRY_MS)) {
    await delay(waitMs);
    const socket = await tryConnect(host, paths);
    if (socket !== undefined) return socket;
    // Code 0 means that another daemon got there first: it will listen in a moment.
    const exitCode = daemon.exitCode();
    if (exitCode !== undefined && exitCode !== 0) {
      throw new HostError('The terok-mcp daemon could not start', {
        hint: `Its log is ${paths.daemonLog}; "terok-mcp setup --check" says what the host lacks.`,
        details: daemon.lastLogLines(),
      });
    }
  }
  throw new HostError(`The terok-mcp daemon did not answer within ${START_DEADLINE_MS / 1000} s`, {
    hint: `Its log is ${paths.daemonLog}.`,
    details: daemon.lastLogLines(),
  });
}

/** A socket in somebody else's directory would be somebody else's daemon: it counts as none. */
async function tryConnect(host: Host, paths: Paths): Promise<Socket | undefined> {
  if (!host.ownsDirectory(paths.runtime)) return undefined;
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
