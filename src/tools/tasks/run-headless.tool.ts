import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import {
  agentField,
  MAX_PROMPT_CHARS,
  nameField,
  projectField,
  restrictedField,
  waitField,
} from '../fields.ts';
import { hasEnded, TaskView, toTaskView } from '../task-view.ts';

export const runHeadless = defineTool({
  name: 'run_headless',
  title: 'Delegate a prompt to an agent',
  description:
    'Makes a sandboxed task and gives its agent a prompt. Returns the task id once the sandbox runs; the work goes on without you.',
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  input: z.strictObject({
    project: projectField,
    prompt: z
      .string()
      .min(1)
      .max(MAX_PROMPT_CHARS)
      .describe('The whole job. Ask for commits and a pushed branch: only pushed work comes back.'),
    name: nameField,
    agent: agentField,
    restricted: restrictedField,
    timeout_s: z.int().min(1).max(86_400).optional().describe("Limit of the run. Default: the project's."),
    wait_s: waitField,
  }),
  output: TaskView,
  handler: async ({ timeout_s: timeoutS, wait_s: waitS, ...input }, { runtime, signal }) => {
    const task = await runtime.tasks.create({ ...input, timeoutS });
    if (waitS === 0) return toTaskView(task);
    return toTaskView(
      await runtime.tasks.waitFor(task.id, { until: hasEnded, waitMs: waitS * 1000 }, signal),
    );
  },
});
