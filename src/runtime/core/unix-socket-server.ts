import { chmodSync, lstatSync, rmSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { HostError } from './errors.ts';
import { assertSocketPath } from './paths.ts';

/**
 * Listens on a unix socket that any user id may connect to: the container's users have host ids of their own,
 * and who may reach the socket is decided by its directory (0700 on the host, mounted into one container). A
 * socket left by an earlier process is removed first; anything else in its place is an error.
 */
export async function listenOnUnixSocket(server: Server, socketPath: string): Promise<void> {
  assertSocketPath(socketPath, 'TEROK_RUNTIME_DIR');
  const existing = lstatSync(socketPath, { throwIfNoEntry: false });
  if (existing?.isSocket() === true) rmSync(socketPath, { force: true });
  else if (existing !== undefined) {
    throw new HostError(`${socketPath} exists and is no socket`, {
      hint: `Remove ${socketPath} and try again.`,
    });
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, () => {
      server.removeListener('error', reject);
      resolve();
    });
  }).catch((cause: unknown) => {
    throw new HostError(`Cannot listen on ${socketPath}`, {
      hint: 'Check that its directory exists and is writable.',
      cause,
    });
  });
  chmodSync(socketPath, 0o666);
}

/** Stops listening and breaks off what is connected. Does nothing where it does not listen. */
export async function closeServer(server: Server, sockets: Iterable<Socket>): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of sockets) socket.destroy();
  await closed;
}
