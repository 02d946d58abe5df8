import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import { agentField, nameField, projectField, restrictedField } from '../fields.ts';
import { TaskView, toTaskView } from '../task-view.ts';

export const createTask = defineTool({
  name: 'create_task',
  title: 'Create a task without a prompt',
  description:
    'Starts an idle sandbox with the project checked out, for a person to log into. To delegate work use run_headless.',
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  input: z.strictObject({
    project: projectField,
    name: nameField,
    agent: agentField,
    restricted: restrictedField,
  }),
  output: TaskView,
  handler: async (input, { runtime }) => toTaskView(await runtime.tasks.create(input)),
});
