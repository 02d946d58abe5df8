import { randomInt } from 'node:crypto';
import { z } from 'zod';

const FIRST = 'ghjkmnpqrstvwxyz';
const REST = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * Five characters: the first is no hexadecimal digit and the second is a digit, so an id is never mistaken
 * for a commit or a word, and none of the letters read like a digit (no i, l, o, u).
 */
export const TaskId = z
  .string()
  .regex(/^[ghjkmnp-tv-z][0-9][0-9a-hjkmnp-tv-z]{3}$/, 'a task id is five characters, like "k3f9a"')
  .brand('TaskId');
export type TaskId = z.infer<typeof TaskId>;

export const ProjectId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'a project id is lower-case letters, digits, "-" and "_", at most 63')
  .refine((id) => id !== 'default', 'the name "default" is reserved')
  .brand('ProjectId');
export type ProjectId = z.infer<typeof ProjectId>;

export const AgentName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'lower-case letters, digits and "-", at most 32')
  .describe('Name by which tools and projects choose it; the file is called after it.');

export const CommitId = z
  .string()
  .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/, 'a full commit id: 40 (or 64) hexadecimal digits, not abbreviated');

const pick = (alphabet: string): string => alphabet.charAt(randomInt(alphabet.length));

export function newTaskId(): TaskId {
  return TaskId.parse(`${pick(FIRST)}${randomInt(10)}${pick(REST)}${pick(REST)}${pick(REST)}`);
}
