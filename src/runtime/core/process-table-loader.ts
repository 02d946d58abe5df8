import { readdir, readFile } from 'node:fs/promises';
import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

export interface RunningProcess {
  readonly pid: number;
  readonly argv: readonly string[];
}

/** Every process whose argument vector satisfies the test. Processes that end meanwhile are left out. */
export async function findProcesses(
  matches: (argv: readonly string[]) => boolean,
): Promise<readonly RunningProcess[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => Number.isInteger(pid) && pid > 1);
  const processes = await Promise.all(pids.map(async (pid) => ({ pid, argv: await argvOf(pid) })));
  return processes.filter(({ argv }) => argv.length > 0 && matches(argv));
}

/**
 * TERM, then KILL after the deadline. Resolves when none of them is left. A pid whose arguments are no longer
 * the same is another process by now (pids are reused) and is let alone.
 */
export async function endProcesses(processes: readonly RunningProcess[], graceMs = 1_000): Promise<void> {
  let alive = await stillRunning(processes);
  for (const { pid } of alive) signal(pid, 'SIGTERM');
  for (let waitedMs = 0; alive.length > 0 && waitedMs < graceMs; waitedMs += 10) {
    await delay(10);
    alive = await stillRunning(alive);
  }
  for (const { pid } of alive) signal(pid, 'SIGKILL');
}

async function stillRunning(processes: readonly RunningProcess[]): Promise<readonly RunningProcess[]> {
  const current = await Promise.all(processes.map(({ pid }) => argvOf(pid)));
  return processes.filter(({ argv }, index) => current[index]?.join('\0') === argv.join('\0'));
}

/** Empty for kernel threads, processes that ended, and those nobody has reaped yet. */
async function argvOf(pid: number): Promise<readonly string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    kill(pid, name);
  } catch {
    // It ended between the look and the signal.
  }
}
