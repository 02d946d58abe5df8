import { Duplex } from 'node:stream';
import type { Command, CommandRunner } from '../core/command.ts';
import { CONTAINER_WEB_PORT } from './contract.ts';

/** A connection to the program of a task. Its end is the end of what carries it. */
export interface ProgramConnection {
  readonly stream: Duplex;
  /** Settles when nothing of it is left on the host. */
  readonly gone: Promise<unknown>;
}
export type Dial = () => ProgramConnection;

/** A helper that does not end by itself is killed after this. */
const HELPER_GRACE_MS = 1_000;

/** Joins standard input and output to the program's port, inside its network (pure). */
export function helperCommand(
  prefix: readonly string[],
  networkPath: string,
): Omit<Command<unknown>, 'parse' | 'input'> {
  const [file = '', ...args] = [
    ...prefix,
    ...['nsenter', `--net=${networkPath}`, '--'],
    ...['socat', '-', `TCP4:127.0.0.1:${CONTAINER_WEB_PORT},nodelay`],
  ];
  return { file, args };
}

/**
 * Dials from inside the task's network namespace, so that nothing of the task's has a listener on the host, and the
 * host follows no name, link or redirect of the container's. One helper process a connection.
 */
export function namespaceDialler(deps: {
  readonly runner: CommandRunner;
  readonly prefix: readonly string[];
  readonly networkPath: string;
}): Dial {
  return () => {
    const helper = deps.runner.stream(helperCommand(deps.prefix, deps.networkPath));
    const stream = Duplex.from({ readable: helper.stdout, writable: helper.stdin });
    // Read to keep it going; its words about connections say nothing that the end of one does not.
    helper.stderr.on('error', () => undefined).resume();
    stream.once('close', () => {
      helper.kill('SIGTERM');
      const deadline = setTimeout(() => helper.kill('SIGKILL'), HELPER_GRACE_MS);
      void helper.exited.then(() => clearTimeout(deadline));
    });
    stream.on('error', () => undefined);
    // Not before the last bytes were taken out of it.
    void helper.exited.then(() => {
      if (stream.readableEnded) stream.destroy();
      else stream.once('end', () => stream.destroy());
    });
    return { stream, gone: helper.exited };
  };
}
