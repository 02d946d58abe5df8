import { z } from 'zod';
import type { Task } from '../../runtime/tasks/contract.ts';
import { defineTool } from '../define-tool.ts';
import {
  agentField,
  checkSource,
  gateField,
  gpusField,
  instructionsField,
  modelField,
  nameField,
  presetField,
  promptField,
  restrictedField,
  sourceFields,
} from '../fields.ts';
import { CreatedTaskView, toCreatedTaskView } from '../task-view.ts';

/** Cloning takes a moment; a clone that takes longer is waited for with task_status. */
const READY_WAIT_MS = 20_000;

export const createTask = defineTool({
  name: 'create_task',
  title: 'Create a task for people',
  description:
    'A sandbox for people. interactive: a terminal, reached by terok-mcp login; web: a program in the browser, whose url is answered. To delegate work use run_headless.',
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  input: z
    .strictObject({
      mode: z.enum(['interactive', 'web', 'headless']).default('interactive'),
      ...sourceFields,
      prompt: promptField.optional().describe('headless.'),
      port: z.int().min(1024).max(65_535).optional().describe('web.'),
      public_url: z
        .url({ protocol: /^https?$/ })
        .max(500)
        .optional()
        .describe('web, behind a proxy.'),
      agent: agentField,
      model: modelField,
      gate: gateField,
      gpus: gpusField,
      restricted: restrictedField,
      preset: presetField,
      instructions: instructionsField,
      name: nameField,
    })
    .superRefine(checkSource)
    .superRefine(checkMode),
  output: CreatedTaskView,
  handler: async ({ port, public_url: publicUrl, ...input }, { runtime, signal, progress }) => {
    const web = input.mode === 'web' ? { port, publicUrl } : undefined;
    const started = await runtime.tasks.create({ ...input, web }, undefined, progress);
    const isUp = { until: (task: Task) => task.state !== 'starting', waitMs: READY_WAIT_MS };
    return toCreatedTaskView(started, await runtime.tasks.waitFor(started.id, isUp, signal));
  },
});

interface Modal {
  readonly mode: 'interactive' | 'web' | 'headless';
  readonly prompt?: string | undefined;
  readonly port?: number | undefined;
  readonly public_url?: string | undefined;
}

/** What belongs to one mode is refused in the others: silently left out, it would be missed. */
function checkMode({ mode, prompt, port, public_url }: Modal, context: z.RefinementCtx): void {
  const refuse = (field: string, message: string) =>
    context.addIssue({ code: 'custom', path: [field], message });
  if (mode === 'headless' && prompt === undefined) refuse('prompt', 'mode headless needs a prompt');
  if (mode !== 'headless' && prompt !== undefined)
    refuse('prompt', `mode ${mode} takes none: give mode headless, or call run_headless`);
  for (const [field, value] of Object.entries({ port, public_url }))
    if (mode !== 'web' && value !== undefined) refuse(field, `is for mode web, and this is ${mode}`);
}
