import { z } from 'zod';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import { defineTool } from '../define-tool.ts';
import { taskField } from '../fields.ts';

const MAX_ARCHIVED = 50;

export const deleteTask = defineTool({
  name: 'delete_task',
  title: 'Delete a task',
  description:
    'Removes the sandbox and its workspace. Pushed but unpromoted branches are archived; unpushed work is lost.',
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({ task: taskField }),
  output: z.strictObject({
    deleted: z.string().describe('Task id.'),
    archived: z.array(z.string()).describe("Refs in the project's gate that keep unpromoted work."),
  }),
  handler: async ({ task: id }, { runtime }) => {
    const { id: task } = runtime.tasks.get(id);
    const { archived } = await runtime.tasks.delete(task);
    return { deleted: task, archived: archived.slice(0, MAX_ARCHIVED).map((ref) => cleanLine(ref, 300)) };
  },
});
