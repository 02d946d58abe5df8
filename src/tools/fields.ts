import { z } from 'zod';
import { CommitId, ProjectId } from '../runtime/core/ids.ts';

/** Fields that several tools share: one wording, one bound. */
export const MAX_WAIT_S = 50;
export const DEFAULT_TEXT_CHARS = 8_000;
export const MAX_TEXT_CHARS = 40_000;
export const MAX_PROMPT_CHARS = 1024 * 1024;
export const MAX_INSTRUCTIONS_CHARS = 64 * 1024;

export const projectField = ProjectId.describe('Id from list_projects.');
export const taskField = z
  .string()
  .regex(/^[0-9a-z]{2,5}$/, 'a task id is five characters like "k3f9a", or its first ones')
  .describe('Task id.');
export const waitField = z.int().min(0).max(MAX_WAIT_S).default(0).describe('Seconds to wait.');
export const branchField = z
  .string()
  .max(250)
  .regex(/^[^\s\u0000-\u001f\u007f-]\S*$/, 'a branch name: no spaces, no leading "-"');
export const maxCharsField = z
  .int()
  .min(500)
  .max(MAX_TEXT_CHARS)
  .default(DEFAULT_TEXT_CHARS)
  .describe('Cap on the text.');
export const commitField = CommitId;

/** A rule that an example explains better than its pattern: it is checked, and not part of what clients read. */
const isMatch =
  (pattern: RegExp) =>
  (text: string): boolean =>
    pattern.test(text);

/** A label, not an identity: two tasks may share it. */
export const nameField = z
  .string()
  .max(60)
  .refine(isMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/), 'lower-case words joined by "-", at most 60 characters')
  .optional()
  .describe('Label like "fix-login".');
export const agentField = z
  .string()
  .max(32)
  .refine(isMatch(/^[a-z][a-z0-9-]*$/), 'an agent name is lower-case letters, digits and "-"')
  .optional()
  .describe("Default: the project's.");
export const restrictedField = z.boolean().optional().describe('No sudo inside.');

/** How the agent is run: each overrides what the project and its preset say. */
export const presetField = z.string().min(1).max(64).optional();
export const modelField = z.string().min(1).max(200).optional();
export const instructionsField = z
  .string()
  .max(MAX_INSTRUCTIONS_CHARS)
  .optional()
  .describe('Replaces all others.');
