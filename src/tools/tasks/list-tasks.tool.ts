import { z } from 'zod';
import { TaskState } from '../../runtime/tasks/contract.ts';
import { defineTool } from '../define-tool.ts';
import { projectField } from '../fields.ts';
import { TaskView, toTaskView } from '../task-view.ts';

export const listTasks = defineTool({
  name: 'list_tasks',
  title: 'List tasks',
  description: 'Tasks, newest first.',
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({
    project: projectField.optional(),
    state: TaskState.optional(),
    limit: z.int().min(1).max(100).default(20),
    offset: z.int().min(0).max(1_000_000).default(0).describe('next_offset of the page before.'),
  }),
  output: z.strictObject({
    tasks: z.array(TaskView.omit({ next: true })).describe('One page.'),
    total: z.int().describe('Tasks that match.'),
    next_offset: z.int().optional().describe('Present when there are more.'),
  }),
  handler: async ({ project, state, limit, offset }, { runtime }) => {
    // An unknown project is an error with the nearest names, not an empty list.
    if (project !== undefined) await runtime.projects.get(project);
    const all = runtime.tasks
      .list({ project, state })
      .toSorted((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
    const end = offset + limit;
    return {
      tasks: all.slice(offset, end).map((task) => {
        const { next: _next, ...view } = toTaskView(task);
        return view;
      }),
      total: all.length,
      ...(end < all.length ? { next_offset: end } : {}),
    };
  },
});
