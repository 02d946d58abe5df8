import { uptime } from 'node:os';
import type { Command, CommandRunner } from '../../core/command.ts';
import { CommandError, HostError } from '../../core/errors.ts';
import type { ContainerState } from '../contract.ts';

/** What a shell makes of a KILL. */
const EXIT_KILLED = 137;
/** Between the clocks of the kernel's log and of this machine. */
const CLOCK_SLACK_S = 1;

/** A process that the kernel ended because its container had used up its memory. */
export interface MemoryKill {
  readonly containerId: string;
  /** Seconds since the host was started. */
  readonly atS: number;
}

/**
 * The kernel's own record of whom it killed for memory; nothing where this user may not read it. Podman's flag is not
 * enough: on cgroups v1 conmon looks before the kernel has counted (2.1.6), and says that nothing happened.
 */
export const memoryKills: Command<readonly MemoryKill[]> = {
  file: 'dmesg',
  args: ['--kernel', '--color=never', '--nopager'],
  okCodes: [0, 1],
  parse: ({ stdout, exitCode }) => (exitCode === 0 ? parseMemoryKills(stdout) : []),
};

const RECORD =
  /^\[ *(\d+\.\d+)\] oom-kill:constraint=(?:(?!task_memcg=).)*task_memcg=[^,\n]*\blibpod-([0-9a-f]{64})/gm;

/** The lines of oom_kill_process() (mm/oom_kill.c); a process may choose its name there, but not its cgroup. */
export const parseMemoryKills = (log: string): readonly MemoryKill[] =>
  [...log.matchAll(RECORD)].map(([, seconds = '', containerId = '']) => ({
    containerId,
    atS: Number(seconds),
  }));

/** Whether a container, where it was killed, was so for memory. A kernel that tells nothing is no reason to know less of it. */
export async function wasOutOfMemory(
  container: ContainerState,
  runner: Pick<CommandRunner, 'run'>,
  signal?: AbortSignal,
): Promise<boolean> {
  const { id, status, exitCode, startedAt } = container;
  if (container.wasOutOfMemory || status !== 'exited' || exitCode !== EXIT_KILLED)
    return container.wasOutOfMemory;
  const kills = await runner.run(memoryKills, { signal }).catch((error: unknown) => {
    if (error instanceof CommandError || error instanceof HostError) return [];
    throw error;
  });
  // It may have been started before, and killed then.
  const ageMs = startedAt === undefined ? 0 : Date.now() - Date.parse(startedAt);
  const startedAtS = uptime() - ageMs / 1000;
  return kills.some(({ containerId, atS }) => containerId === id && atS >= startedAtS - CLOCK_SLACK_S);
}
