import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import {
  agentField,
  checkSource,
  gateField,
  gpusField,
  instructionsField,
  maxTurnsField,
  modelField,
  nameField,
  presetField,
  promptField,
  restrictedField,
  sourceFields,
  timeoutField,
  waitField,
} from '../fields.ts';
import { CreatedTaskView, hasEnded, toCreatedTaskView } from '../task-view.ts';
import { waitForTask } from '../wait-for-task.ts';

export const runHeadless = defineTool({
  name: 'run_headless',
  title: 'Delegate a prompt to an agent',
  description:
    'Makes a sandboxed task and gives its agent a prompt. Returns once it runs; the work goes on without you.',
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  input: z
    .strictObject({
      ...sourceFields,
      prompt: promptField.describe('The whole job. Ask for a pushed branch: only pushed work comes back.'),
      agent: agentField,
      model: modelField,
      max_turns: maxTurnsField,
      timeout_s: timeoutField.describe('Default: 1800, or as configured.'),
      gate: gateField,
      gpus: gpusField,
      restricted: restrictedField,
      preset: presetField,
      instructions: instructionsField,
      subagents: z.array(z.string().max(64)).max(50).optional(),
      name: nameField,
      wait_s: waitField,
    })
    .superRefine(checkSource),
  output: CreatedTaskView,
  handler: async ({ timeout_s: timeoutS, max_turns: maxTurns, wait_s: waitS, ...input }, context) => {
    const { runtime, progress } = context;
    const started = await runtime.tasks.create(
      { ...input, mode: 'headless', timeoutS, maxTurns },
      undefined,
      progress,
    );
    const task = waitS === 0 ? started : await waitForTask(context, started.id, { until: hasEnded, waitS });
    return toCreatedTaskView(started, task);
  },
});
