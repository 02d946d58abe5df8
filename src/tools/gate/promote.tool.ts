import { z } from 'zod';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import { defineTool } from '../define-tool.ts';
import { branchField, commitField, projectField } from '../fields.ts';

export const promote = defineTool({
  name: 'promote',
  title: 'Promote a reviewed branch to upstream',
  description:
    'Pushes exactly the commit you reviewed to the real repository, never with force; refused when the branch moved since. Usually parks until a person approves.',
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  input: z.strictObject({
    project: projectField,
    branch: branchField.describe('Like "k3f9a/fix/x".'),
    head: commitField.describe('head of gate_diff, in full.'),
    target: branchField.optional().describe('Upstream branch. Default: branch without the task.'),
  }),
  output: z.strictObject({
    outcome: z.enum(['promoted', 'awaiting_approval']).describe('awaiting_approval: nothing has moved yet.'),
    target: z.string().describe('Branch of upstream.'),
    head: z.string().describe('The commit.'),
    previous: z.string().optional().describe('Where the branch stood before; absent when it is new.'),
    approval: z.string().optional().describe('Id of the parked request.'),
    expires_at: z.string().optional().describe('ISO 8601.'),
    next: z.string().describe('What to do next.'),
  }),
  handler: async (input, { runtime }) => {
    const outcome = await runtime.review.promote(input);
    const shared = { outcome: outcome.outcome, target: cleanLine(outcome.target, 300), head: outcome.head };
    if (outcome.outcome === 'promoted') {
      return {
        ...shared,
        ...(outcome.previous === undefined ? {} : { previous: outcome.previous }),
        next: 'delete_task when the task is no longer needed',
      };
    }
    return {
      ...shared,
      approval: outcome.approval,
      expires_at: outcome.expiresAt,
      next: `Ask a person to run: terok-mcp approve ${outcome.approval}. Then call promote again for the result.`,
    };
  },
});
