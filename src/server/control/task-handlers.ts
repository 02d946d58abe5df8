import type { z } from 'zod';
import { CancelledError } from '../../runtime/core/errors.ts';
import type { Progress } from '../../runtime/engine/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { ControlMethod } from './control-method.ts';
import { openDevTask } from './dev-task.ts';
import { toStartedRecord, toTaskDetails, toTaskRecord } from './records.ts';
import { taskMethods } from './task-methods.ts';

const MAX_LOG_CHARS = 200_000;

/** Says what answers a method. */
export type Register = <P extends z.ZodType, R extends z.ZodType>(
  method: ControlMethod<P, R>,
  handle: (params: z.output<P>, signal: AbortSignal, progress: Progress) => Promise<z.input<R>> | z.input<R>,
) => void;

/**
 * What the command line asks about tasks. Until a task runs, a terminal that goes away has given it up; nothing can
 * be left behind that nobody knows the id of.
 */
export function registerTasks(on: Register, runtime: Runtime): void {
  const { tasks } = runtime;
  on(taskMethods.tasksList, (filter) => ({ tasks: tasks.list(filter).map(toTaskRecord) }));
  on(taskMethods.tasksShow, async ({ id }, signal) => toTaskDetails(await tasks.report(id, signal)));
  on(taskMethods.tasksStart, async (input, signal, progress) =>
    toStartedRecord(await tasks.create(input, signal, progress)),
  );
  on(taskMethods.tasksFollowUp, async ({ id, ...input }, signal, progress) =>
    toStartedRecord(await tasks.followUp({ task: tasks.get(id).id, ...input }, signal, progress)),
  );
  on(taskMethods.tasksRestart, async ({ id, recreate }, signal, progress) =>
    toStartedRecord(await tasks.restart(tasks.get(id).id, { recreate }, signal, progress)),
  );
  on(taskMethods.tasksWebUrl, async ({ id }) => ({ url: await tasks.webUrl(tasks.get(id).id) }));
  on(taskMethods.tasksStop, async ({ id }) => toTaskRecord(await tasks.stop(id)));
  on(taskMethods.tasksDelete, async ({ id }) => {
    const task = tasks.get(id);
    const { archived } = await tasks.delete(task.id);
    return { id: task.id, archived: [...archived] };
  });
  on(taskMethods.tasksDev, async ({ project }, signal, progress) =>
    openDevTask(runtime, project, { signal, progress }),
  );
  on(taskMethods.tasksLogs, async ({ id, cursor, tail, raw }, signal) => {
    if (signal.aborted) throw new CancelledError('the connection is gone');
    const page = await tasks.logs({ task: tasks.get(id).id, cursor, tail, raw, maxChars: MAX_LOG_CHARS });
    return { ...page, lines: [...page.lines] };
  });
}
