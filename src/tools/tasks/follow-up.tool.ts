import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import { maxTurnsField, modelField, promptField, taskField, timeoutField, waitField } from '../fields.ts';
import { CreatedTaskView, hasEnded, toCreatedTaskView } from '../task-view.ts';
import { waitForTask } from '../wait-for-task.ts';

export const followUp = defineTool({
  name: 'follow_up',
  title: 'Give an ended task another prompt',
  description: 'Gives a headless task that has ended another prompt: same workspace, same conversation.',
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  input: z.strictObject({
    task: taskField,
    prompt: promptField,
    fresh: z.boolean().optional().describe('New conversation.'),
    model: modelField,
    max_turns: maxTurnsField,
    timeout_s: timeoutField,
    wait_s: waitField,
  }),
  output: CreatedTaskView,
  handler: async (
    { task: id, timeout_s: timeoutS, max_turns: maxTurns, wait_s: waitS, ...input },
    context,
  ) => {
    const { tasks } = context.runtime;
    const started = await tasks.followUp(
      { task: tasks.get(id).id, ...input, timeoutS, maxTurns },
      undefined,
      context.progress,
    );
    const task = waitS === 0 ? started : await waitForTask(context, started.id, { until: hasEnded, waitS });
    return toCreatedTaskView(started, task);
  },
});
