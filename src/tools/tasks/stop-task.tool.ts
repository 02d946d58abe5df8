import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import { taskField } from '../fields.ts';
import { TaskView, toTaskView } from '../task-view.ts';

export const stopTask = defineTool({
  name: 'stop_task',
  title: 'Stop a task',
  description: 'Ends the agent (TERM, then KILL). Pushed branches and the workspace stay.',
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({ task: taskField }),
  output: TaskView,
  handler: async ({ task }, { runtime }) => toTaskView(await runtime.tasks.stop(task)),
});
