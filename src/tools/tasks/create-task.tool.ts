import { z } from 'zod';
import type { Task } from '../../runtime/tasks/contract.ts';
import { defineTool } from '../define-tool.ts';
import {
  agentField,
  instructionsField,
  modelField,
  nameField,
  presetField,
  projectField,
  restrictedField,
} from '../fields.ts';
import { CreatedTaskView, toCreatedTaskView } from '../task-view.ts';

/** Cloning takes a moment; a clone that takes longer is waited for with task_status. */
const READY_WAIT_MS = 20_000;

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
    preset: presetField,
    model: modelField,
    instructions: instructionsField,
  }),
  output: CreatedTaskView,
  handler: async (input, { runtime, signal, progress }) => {
    const { id, warnings } = await runtime.tasks.create(input, undefined, progress);
    const isUp = { until: (task: Task) => task.state !== 'starting', waitMs: READY_WAIT_MS };
    return toCreatedTaskView(await runtime.tasks.waitFor(id, isUp, signal), warnings);
  },
});
