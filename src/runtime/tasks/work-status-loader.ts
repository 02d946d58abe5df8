import { readUntrustedFile } from '../core/untrusted-file-loader.ts';
import type { WorkStatus } from './contract.ts';
import { parseWorkStatus } from './work-status.ts';

const FILE = 'work-status.yml';
const MAX_BYTES = 16 * 1024;

export interface WorkStatusReading {
  readonly status: WorkStatus | undefined;
  /** Why the file cannot be used, in our own words; undefined where it can, or is not there. */
  readonly problem: string | undefined;
}

/**
 * What an agent says of its work in `<agentState>/work-status.yml`, which only it writes. Never throws for what a
 * container made of the file, and never waits for it.
 */
export async function loadWorkStatus(agentState: string): Promise<WorkStatusReading> {
  const unusable = (problem: string): WorkStatusReading => ({
    status: undefined,
    problem: `${FILE} ${problem}`,
  });
  const file = await readUntrustedFile({ root: agentState, names: [FILE] }, MAX_BYTES);
  if (file.text === undefined)
    return file.isAbsent ? { status: undefined, problem: undefined } : unusable(file.problem);
  const { said, problem } = parseWorkStatus(file.text);
  if (problem !== undefined) return unusable(problem);
  return {
    status: said === undefined ? undefined : { ...said, at: file.modifiedAt.toISOString() },
    problem: undefined,
  };
}
