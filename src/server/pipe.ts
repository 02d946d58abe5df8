import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { RuntimeError } from '../runtime/core/errors.ts';
import { dialDaemon } from './daemon-client.ts';
import type { ExitCode, Host } from './host.ts';
import { pathsOf } from './host-paths.ts';

const MAX_EARLY_BYTES = 16 * 1024 * 1024;
/** How long the daemon may take to notice that the client has left. */
const FAREWELL_MS = 500;

/**
 * The front end: bytes between an MCP client and the daemon, nothing parsed, nothing kept. Ends when either
 * side does; no task notices.
 */
export async function runPipe(host: Host): Promise<ExitCode> {
  // Reading begins at once: a client that leaves while the daemon starts is noticed.
  const early = new PassThrough({ highWaterMark: MAX_EARLY_BYTES });
  host.stdin.pipe(early);
  const clientLeft = new Promise<ExitCode>((resolve) => {
    early.once('finish', () => resolve(0));
    host.stdin.once('error', () => resolve(0));
    host.stdout.once('error', () => resolve(0));
    host.onSignal(() => resolve(0));
  });
  try {
    const dialled = dialDaemon(host, pathsOf(host), 'mcp');
    const first = await Promise.race([dialled, clientLeft]);
    if (first === 0) {
      dialled.catch(() => undefined);
      return 0;
    }
    return await carry(host, early, await dialled, clientLeft);
  } catch (error) {
    host.stderr.write(`${describe(error)}\n`);
    return 1;
  }
}

async function carry(
  host: Host,
  early: PassThrough,
  socket: Socket,
  clientLeft: Promise<ExitCode>,
): Promise<ExitCode> {
  const daemonLeft = new Promise<ExitCode>((resolve) => {
    socket.once('error', () => resolve(1));
    socket.once('close', () => resolve(1));
  });
  early.pipe(socket);
  socket.pipe(host.stdout, { end: false });
  const left = await Promise.race([clientLeft, daemonLeft]);
  if (left === 0) {
    if (!socket.writableEnded && host.stdin.readableEnded === false) socket.end();
    await Promise.race([daemonLeft, new Promise((resolve) => setTimeout(resolve, FAREWELL_MS))]);
    return 0;
  }
  host.stderr.write(
    'terok-mcp: the daemon went away. Its tasks go on; start the client again to reach them.\n',
  );
  return 1;
}

function describe(error: unknown): string {
  if (!(error instanceof RuntimeError))
    return `terok-mcp: ${error instanceof Error ? error.message : String(error)}`;
  const lines = [`terok-mcp: ${error.message}`];
  if (error.hint !== undefined) lines.push(`  ${error.hint}`);
  if (error.details !== undefined && error.details !== '')
    lines.push(error.details.replaceAll(/^/gm, '  | '));
  return lines.join('\n');
}
