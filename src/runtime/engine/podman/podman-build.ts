import { setTimeout as delay } from 'node:timers/promises';
import type { Command, CommandRunner } from '../../core/command.ts';
import { CancelledError, CommandError } from '../../core/errors.ts';
import { findProcesses } from '../../core/process-table-loader.ts';
import type { Progress } from '../contract.ts';

/** No single build takes longer. */
export const BUILD_MS = 3_600_000;
/** How long Podman may take to end what a build runs and to remove its container. */
const HANG_UP_MS = 15_000;

/**
 * Runs a build to its end, or ends it with all that it runs. Podman forwards TERM and INT and is gone before the step
 * that was running has ended, so that its processes and its working container stay; at HUP it sees to both.
 */
export async function runBuild<T>(
  runner: CommandRunner,
  build: { readonly command: Command<T>; readonly dockerfile: string },
  onLine: Progress,
  signal?: AbortSignal,
): Promise<T> {
  const kill = new AbortController();
  const settled = new AbortController();
  const late = AbortSignal.timeout(BUILD_MS);
  const end = async (): Promise<void> => {
    if (await hangUp(runner, build.dockerfile))
      await delay(HANG_UP_MS, undefined, { signal: settled.signal }).catch(() => undefined);
    kill.abort();
  };
  const onEnd = (): void => void end().catch(() => kill.abort());
  const ending = AbortSignal.any([late, ...(signal === undefined ? [] : [signal])]);
  ending.addEventListener('abort', onEnd, { once: true, signal: settled.signal });
  if (ending.aborted) kill.abort();
  try {
    return await runner.run(build.command, { signal: kill.signal, onLine });
  } catch (error) {
    if (signal?.aborted === true) throw new CancelledError('The build was cancelled', { cause: error });
    if (late.aborted) throw new CommandError(`The build did not end in ${BUILD_MS / 60_000} minutes`);
    throw error;
  } finally {
    settled.abort();
  }
}

/** Hangs up on the Podman process that builds this Dockerfile, of which there is one. False when there is none. */
export async function hangUp(runner: CommandRunner, dockerfile: string): Promise<boolean> {
  const found = await findProcesses((argv) => argv.includes(`--file=${dockerfile}`));
  // Rootless Podman is two processes of the same arguments: the first started the second, which does the work.
  const worker = [...found].sort((a, b) => a.pid - b.pid).at(-1);
  if (worker === undefined) return false;
  await runner.run({
    file: 'kill',
    args: ['-HUP', String(worker.pid)],
    okCodes: [0, 1],
    parse: () => undefined,
  });
  return true;
}
