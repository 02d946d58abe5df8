import { cleanLine } from '../core/untrusted-text.ts';
import { parseYaml } from '../core/yaml-document.ts';
import type { WorkStatus } from './contract.ts';

const MAX_STATUS_CHARS = 40;
const MAX_MESSAGE_CHARS = 500;
/** Agents write these in any case. */
const KNOWN = new Set([
  'planning',
  'coding',
  'testing',
  'debugging',
  'reviewing',
  'documenting',
  'done',
  'blocked',
  'error',
]);

export type ParsedWorkStatus =
  | { readonly said: Omit<WorkStatus, 'at'> | undefined; readonly problem?: undefined }
  | { readonly said?: undefined; readonly problem: string };

/**
 * What a work-status file says (pure): a mapping with `status` and `message`, or the status alone. Values that are no
 * text are dropped; an empty file says nothing.
 */
export function parseWorkStatus(text: string): ParsedWorkStatus {
  const { document, problems } = parseYaml(text, { maxAliases: 0 });
  // What the parser says would quote the file, and is told outside of what is marked as a container's words.
  if (document === undefined) return { problem: `is not plain YAML (line ${problems[0]?.line ?? 1})` };
  const { value } = document;
  if (value === null) return { said: undefined };
  if (typeof value === 'string') return saying(value, undefined);
  if (typeof value !== 'object' || Array.isArray(value))
    return { problem: 'is neither a mapping nor a text' };
  const fields = new Map<string, unknown>(Object.entries(value));
  return saying(fields.get('status'), fields.get('message'));
}

function saying(status: unknown, message: unknown): ParsedWorkStatus {
  const word = typeof status === 'string' ? cleanLine(status.trim(), MAX_STATUS_CHARS) : '';
  if (word === '') return { problem: 'has no text as its status' };
  const known = word.toLowerCase();
  const words = typeof message === 'string' ? cleanLine(message.trim(), MAX_MESSAGE_CHARS) : '';
  return {
    said: { status: KNOWN.has(known) ? known : word, message: words === '' ? undefined : words },
  };
}
