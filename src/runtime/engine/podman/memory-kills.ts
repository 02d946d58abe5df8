import type { Command } from '../../core/command.ts';

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
