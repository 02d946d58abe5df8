import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import { taskField, waitField } from '../fields.ts';
import { CreatedTaskView, hasEnded, toCreatedTaskView } from '../task-view.ts';
import { waitForTask } from '../wait-for-task.ts';

export const restartTask = defineTool({
  name: 'restart_task',
  title: 'Start an ended task again',
  description:
    'Starts it again: interactive and web tasks go on, headless and tool tasks do their last run anew.',
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  input: z.strictObject({
    task: taskField,
    recreate: z.boolean().optional().describe('In a new container, from the image of now.'),
    wait_s: waitField,
  }),
  output: CreatedTaskView,
  handler: async ({ task: id, recreate, wait_s: waitS }, context) => {
    const { tasks } = context.runtime;
    const started = await tasks.restart(tasks.get(id).id, { recreate }, undefined, context.progress);
    const isRun = started.mode === 'headless' || started.mode === 'tool';
    const until = isRun ? hasEnded : ({ state }: { readonly state: string }) => state !== 'starting';
    const task = waitS === 0 ? started : await waitForTask(context, started.id, { until, waitS });
    return toCreatedTaskView(started, task);
  },
});
