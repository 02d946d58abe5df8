import { z } from 'zod';
import { CommitId, ProjectId } from '../runtime/core/ids.ts';

/** Fields that several tools share: one wording, one bound. */
export const MAX_WAIT_S = 50;
export const DEFAULT_TEXT_CHARS = 8_000;
export const MAX_TEXT_CHARS = 40_000;
export const MAX_PROMPT_CHARS = 1024 * 1024;

export const projectField = ProjectId.describe('Project id from list_projects.');
export const taskField = z
  .string()
  .regex(/^[0-9a-z]{2,5}$/, 'a task id is five characters like "k3f9a", or its first ones')
  .describe('Task id.');
export const waitField = z
  .int()
  .min(0)
  .max(MAX_WAIT_S)
  .default(0)
  .describe(`Seconds to wait, 0 to ${MAX_WAIT_S}.`);
export const branchField = z
  .string()
  .min(1)
  .max(250)
  .regex(/^[^\s\u0000-\u001f\u007f-]\S*$/, 'a branch name: no spaces, no leading "-"');
export const maxCharsField = z
  .int()
  .min(500)
  .max(MAX_TEXT_CHARS)
  .default(DEFAULT_TEXT_CHARS)
  .describe('Cap on the text.');
export const commitField = CommitId;

/** A label, not an identity: two tasks may share it. */
export const nameField = z
  .string()
  .max(60)
  .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, 'lower-case words joined by "-", at most 60 characters')
  .optional()
  .describe('Label like "fix-login".');
export const agentField = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'an agent name is lower-case letters, digits and "-"')
  .optional()
  .describe("Default: the project's agent.");
export const restrictedField = z.boolean().optional().describe('true: no sudo inside.');
