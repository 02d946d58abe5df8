import { z } from 'zod';
import { InvalidInputError } from '../../runtime/core/errors.ts';
import { defineTool } from '../define-tool.ts';
import { taskField } from '../fields.ts';

export const revokeCredentials = defineTool({
  name: 'revoke_credentials',
  title: 'Revoke credentials of tasks',
  description:
    'Ends access tokens of a task, a provider, or both; what is stored stays. Its requests get 401 until it is restarted.',
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({
    task: taskField.optional(),
    provider: z
      .string()
      .max(32)
      .refine((name) => /^[a-z][a-z0-9-]*$/.test(name), 'a provider is lower-case letters, digits and "-"')
      .optional()
      .describe('From list_credentials.'),
  }),
  output: z.strictObject({
    revoked: z.int().describe('Tokens that ended.'),
    next: z.string().describe('What to call next.'),
  }),
  handler: async ({ task, provider }, { runtime }) => {
    if (task === undefined && provider === undefined) {
      throw new InvalidInputError('Nothing says whose tokens are to end', {
        hint: 'Give task, provider, or both.',
      });
    }
    const id = task === undefined ? undefined : runtime.tasks.get(task).id;
    return {
      revoked: runtime.vault.revokeAll({ task: id, provider }),
      next:
        id === undefined
          ? 'list_tasks'
          : `stop_task, then follow_up or restart_task with task=${id}: new ones`,
    };
  },
});
