import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A connection to the daemon at a socket that was told what it is for; undefined where nobody listens. */
export async function dialDaemon(socketPath: string, protocol: string): Promise<Socket | undefined> {
  return await new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('error', () => resolve(undefined));
    socket.once('connect', () => {
      socket.on('error', () => undefined);
      socket.write(`terok-mcp/1 ${protocol}\n`);
      resolve(socket);
    });
  });
}

/**
 * The pid of the daemon that answers at a socket, or undefined when none does. It says so itself: its environment, which
 * would name its directories, is closed to its own user.
 */
export async function daemonPidAt(socketPath: string): Promise<number | undefined> {
  const socket = await dialDaemon(socketPath, 'control');
  if (socket === undefined) return undefined;
  const line = await firstLine(socket);
  socket.destroy();
  if (line === '') return undefined;
  const pid: unknown = JSON.parse(line).hello?.pid;
  return typeof pid === 'number' ? pid : undefined;
}

/** Empty when the connection ends without one. */
export async function firstLine(socket: Socket): Promise<string> {
  return await new Promise((resolve) => {
    let text = '';
    const settle = () => resolve(text.split('\n')[0] ?? '');
    socket.on('data', (chunk) => {
      text += String(chunk);
      if (text.includes('\n')) settle();
    });
    socket.on('close', settle);
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Sends it a signal and waits for its end, for so long. */
export async function endProcess(pid: number, signal: NodeJS.Signals, withinMs: number): Promise<void> {
  if (isAlive(pid)) process.kill(pid, signal);
  for (const deadline = performance.now() + withinMs; isAlive(pid) && performance.now() < deadline; )
    await delay(20);
}
