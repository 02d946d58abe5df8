import { z } from 'zod';
import { AgentName } from '../../runtime/core/ids.ts';
import { defineTool } from '../define-tool.ts';
import {
  checkSource,
  DEFAULT_TOOL_TIMEOUT_S,
  MAX_TIMEOUT_S,
  nameField,
  sourceFields,
  toolArgsField,
  waitField,
} from '../fields.ts';
import { CreatedTaskView, hasEnded, toCreatedTaskView } from '../task-view.ts';
import { waitForTask } from '../wait-for-task.ts';

export const runTool = defineTool({
  name: 'run_tool',
  title: 'Run a sidecar tool',
  description:
    'Runs a tool (list_agents: feature sidecar) on the code, with its real credential and no agent.',
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  input: z
    .strictObject({
      tool: AgentName.describe('Like "sonar".'),
      tool_args: toolArgsField.default([]),
      ...sourceFields,
      timeout_s: z.int().min(1).max(MAX_TIMEOUT_S).default(DEFAULT_TOOL_TIMEOUT_S),
      name: nameField,
      wait_s: waitField,
    })
    .superRefine(checkSource),
  output: CreatedTaskView,
  handler: async ({ tool, tool_args: args, timeout_s: timeoutS, wait_s: waitS, ...input }, context) => {
    const { runtime, progress } = context;
    const started = await runtime.tasks.create(
      { ...input, mode: 'tool', tool: { name: tool, args }, timeoutS },
      undefined,
      progress,
    );
    const task = waitS === 0 ? started : await waitForTask(context, started.id, { until: hasEnded, waitS });
    return toCreatedTaskView(started, task);
  },
});
