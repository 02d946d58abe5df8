import { z } from 'zod';
import { CommitId, ProjectId } from '../runtime/core/ids.ts';
import { parseUpstreamUrl } from '../runtime/core/upstream-url.ts';

/** Fields that several tools share: one wording, one bound. */
export const MAX_WAIT_S = 50;
export const DEFAULT_TEXT_CHARS = 8_000;
export const MAX_TEXT_CHARS = 40_000;
export const MAX_PROMPT_CHARS = 1024 * 1024;
export const MAX_INSTRUCTIONS_CHARS = 64 * 1024;
export const MAX_TOOL_ARGS = 100;
export const MAX_TOOL_ARG_CHARS = 4096;
/** Longest a run may take, in seconds. */
export const MAX_TIMEOUT_S = 86_400;
export const DEFAULT_TOOL_TIMEOUT_S = 600;

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
export const gateField = z.boolean().optional().describe('false: it can push nothing.');
export const gpusField = z.boolean().optional();

const NUL = 'has a NUL character, which no program can be given';
const hasNoNul = (text: string): boolean => !text.includes('\u0000');

export const promptField = z.string().min(1).max(MAX_PROMPT_CHARS).refine(hasNoNul, NUL);
export const toolArgsField = z
  .array(z.string().max(MAX_TOOL_ARG_CHARS).refine(hasNoNul, NUL))
  .max(MAX_TOOL_ARGS);

/** How the agent is run: each overrides what the project and its preset say. */
export const presetField = z.string().min(1).max(64).optional();
export const modelField = z
  .string()
  .min(1)
  .max(200)
  .refine(isMatch(/^[^\s\p{Cc}-][^\p{Cc}]*$/u), 'a model name: no control characters, no leading "-"')
  .optional();
export const maxTurnsField = z.int().min(1).max(10_000).optional();
export const timeoutField = z.int().min(1).max(MAX_TIMEOUT_S).optional();
export const instructionsField = z
  .string()
  .max(MAX_INSTRUCTIONS_CHARS)
  .refine(hasNoNul, NUL)
  .optional()
  .describe('Replaces all others.');

/** What a task works on: a project, or a repository that has none. */
export const sourceFields = {
  project: projectField.optional(),
  repo: z
    .string()
    .max(2000)
    .superRefine((url, context) => {
      const parsed = parseUpstreamUrl(url);
      if (!parsed.isValid) context.addIssue({ code: 'custom', message: parsed.problem });
    })
    .optional()
    .describe('Instead of project: URL or absolute path.'),
  branch: branchField.optional().describe('To start on.'),
} as const;

interface Source {
  readonly project?: string | undefined;
  readonly repo?: string | undefined;
}

/** Exactly one of the two, or an issue that says what to give. */
export function checkSource({ project, repo }: Source, context: z.RefinementCtx): void {
  if (project !== undefined && repo !== undefined)
    context.addIssue({ code: 'custom', path: ['repo'], message: 'excludes project: give one of the two' });
  if (project === undefined && repo === undefined)
    context.addIssue({
      code: 'custom',
      path: ['project'],
      message: 'give project (an id from list_projects), or repo (a URL or absolute path)',
    });
}
