import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import {
  agentField,
  instructionsField,
  MAX_PROMPT_CHARS,
  modelField,
  nameField,
  presetField,
  projectField,
  restrictedField,
  waitField,
} from '../fields.ts';
import { CreatedTaskView, hasEnded, toCreatedTaskView } from '../task-view.ts';

export const runHeadless = defineTool({
  name: 'run_headless',
  title: 'Delegate a prompt to an agent',
  description:
    'Makes a sandboxed task and gives its agent a prompt. Returns once it runs; the work goes on without you.',
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
    preset: presetField,
    model: modelField,
    max_turns: z.int().min(1).max(10_000).optional(),
    instructions: instructionsField,
    subagents: z.array(z.string().max(64)).max(50).optional().describe('Besides the default ones.'),
    timeout_s: z.int().min(1).max(86_400).optional().describe("Default: the project's."),
    wait_s: waitField,
  }),
  output: CreatedTaskView,
  handler: async (
    { timeout_s: timeoutS, max_turns: maxTurns, wait_s: waitS, ...input },
    { runtime, signal, progress },
  ) => {
    const created = await runtime.tasks.create({ ...input, timeoutS, maxTurns }, undefined, progress);
    if (waitS === 0) return toCreatedTaskView(created, created.warnings);
    const waiting = { until: hasEnded, waitMs: waitS * 1000 };
    const task = await runtime.tasks.waitFor(created.id, waiting, signal);
    return toCreatedTaskView(task, created.warnings);
  },
});
