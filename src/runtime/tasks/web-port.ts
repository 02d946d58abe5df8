import { isActive } from './state.ts';
import type { TaskContext } from './task-context.ts';
import type { TaskPlan } from './task-planner.ts';
import { demandedPort } from './task-tokens.ts';

/** Claims are made one after the other, each stored before the next: the key of that lock. */
const CLAIMING = 'web ports';

/** Claims a port of this machine and has it stored, before another task can claim the same. */
export async function claimWebPort<T>(
  { doors, store, mutex }: Pick<TaskContext, 'doors' | 'store' | 'mutex'>,
  plan: Pick<TaskPlan, 'settings' | 'project'>,
  previous: number | undefined,
  storeIt: (port: number) => T,
): Promise<T> {
  const demanded = demandedPort(plan);
  return await mutex.run(CLAIMING, async () => {
    const taken = store
      .list()
      .flatMap((task) => (isActive(task) && task.webPort !== undefined ? [task.webPort] : []));
    const port = await doors.claim({
      preferred: demanded ?? previous,
      isDemanded: demanded !== undefined,
      taken,
    });
    return storeIt(port);
  });
}
