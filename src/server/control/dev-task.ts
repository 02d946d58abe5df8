import type { z } from 'zod';
import { CommandError } from '../../runtime/core/errors.ts';
import type { Progress } from '../../runtime/engine/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Task } from '../../runtime/tasks/contract.ts';
import type { control } from './control-protocol.ts';
import { toTaskRecord } from './records.ts';

/** A large repository takes its time; whoever attaches earlier sees the clone. */
const READY_WAIT_MS = 60_000;

/** Makes a debugging shell that a person can attach to. Throws CommandError when it ended before it was ready. */
export async function openDevTask(
  { tasks }: Runtime,
  project: string,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: Progress },
): Promise<z.input<typeof control.tasksDev.result>> {
  progress('Preparing the sandbox');
  const { id, warnings } = await tasks.create({ project, mode: 'dev' }, signal, progress);
  const isUp = { until: ({ state }: Task) => state !== 'starting', waitMs: READY_WAIT_MS };
  const task = await tasks.waitFor(id, isUp, signal).catch(async (error: unknown) => {
    // Nobody is left who would attach to it.
    await tasks.delete(id);
    throw error;
  });
  if (hasEnded(task)) {
    throw new CommandError(
      `The shell of task ${id} did not come up: ${task.failure ?? `it is ${task.state}`}`,
      {
        hint: `"terok-mcp task logs ${id}" shows what it said; "terok-mcp task delete ${id}" removes it.`,
      },
    );
  }
  return { task: toTaskRecord(task), container: task.container, warnings: [...warnings] };
}

const hasEnded = ({ state }: Task): boolean => state !== 'starting' && state !== 'running';
