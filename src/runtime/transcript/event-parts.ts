import { cleanText, headOf } from '../core/untrusted-text.ts';
import { SESSION_ID, type TaskEvent, type Usage } from './contract.ts';
import type { JsonObject } from './json-fields.ts';
import { objectsAt, textAt, valueAt } from './json-fields.ts';
import { boundedUsage } from './usage.ts';

/** Of any text of an event. */
export const MAX_TEXT_CHARS = 16_000;
const MAX_NAME_CHARS = 200;
/** Room for saying how much was cut. */
const NOTE_CHARS = 40;

/** What is said, cleaned; its lines stay lines. */
export const cleanMessage = (text: string): string => bounded(text, MAX_TEXT_CHARS);

/** An id, a name or a model, on one line. */
export const cleanName = (text: string): string => oneLine(bounded(text, MAX_NAME_CHARS));

/** Cut before it is cleaned too: cleaning a megabyte of escapes would write out several. */
function bounded(text: string, maxChars: number): string {
  if (text.length <= maxChars) {
    const cleaned = cleanText(text);
    if (cleaned.length <= maxChars) return cleaned;
  }
  const room = maxChars - NOTE_CHARS;
  return `${headOf(cleanText(headOf(text, room)), room)}… (${text.length - room} more)`;
}

const oneLine = (text: string): string => text.replace(/[\n\t]/g, ' ');

/** The event that names a conversation; none for what could not be an id. */
export function sessionEvents(id: string | undefined, model: string | undefined): readonly TaskEvent[] {
  if (id === undefined || !SESSION_ID.test(id)) return [];
  return [{ kind: 'session', id, model: model === undefined ? undefined : cleanName(model) }];
}

export const messageEvents = (text: string | undefined): readonly TaskEvent[] =>
  text === undefined || text.trim() === '' ? [] : [{ kind: 'message', text: cleanMessage(text) }];

export const errorEvent = (text: string | undefined): TaskEvent => ({
  kind: 'error',
  text: cleanMessage(text ?? 'it did not say what went wrong'),
});

export const toolCall = (id: string | undefined, tool: string | undefined, input: unknown): TaskEvent => ({
  kind: 'tool_call',
  id: cleanName(id ?? ''),
  tool: cleanName(tool ?? 'unknown'),
  input: describeInput(input),
});

export const toolResult = (
  id: string | undefined,
  status: 'ok' | 'failed',
  output: string | undefined,
): TaskEvent => ({
  kind: 'tool_result',
  id: cleanName(id ?? ''),
  status,
  output: cleanMessage(output ?? ''),
});

export const deniedEvent = (tool: string | undefined, reason: string | undefined): TaskEvent => ({
  kind: 'denied',
  tool: cleanName(tool ?? 'unknown'),
  reason: cleanMessage(reason ?? ''),
});

/** Sums of hostile numbers stay numbers that can be stored. */
export const usageEvent = (usage: Usage, isTotal: boolean): TaskEvent => ({
  kind: 'usage',
  isTotal,
  ...boundedUsage(usage),
});

/** What a tool is asked to do, on one line: the command or path it is mostly about, else all of it as JSON. */
function describeInput(input: unknown): string {
  if (input === undefined || input === null) return '';
  if (typeof input === 'string') return oneLine(cleanMessage(input));
  if (typeof input === 'object' && !Array.isArray(input)) {
    const fields: JsonObject = { ...input };
    for (const key of ['command', 'file_path', 'filePath', 'path', 'pattern', 'query', 'url']) {
      const text = textAt(fields, key) ?? commandLine(valueAt(fields, key));
      if (text !== undefined) return oneLine(cleanMessage(text));
    }
  }
  try {
    return oneLine(cleanMessage(JSON.stringify(input)));
  } catch {
    // Nested too deeply for it.
    return '(too deeply nested to be shown)';
  }
}

const commandLine = (value: unknown): string | undefined =>
  Array.isArray(value) && value.every((part) => typeof part === 'string') ? value.join(' ') : undefined;

/** What a tool answered: a text, or a list of parts of which some are texts. */
export function describeOutput(object: JsonObject, key: string): string | undefined {
  const value = valueAt(object, key);
  if (typeof value === 'string') return value;
  const parts = objectsAt(object, key).map(
    (part) => textAt(part, 'text') ?? `(${textAt(part, 'type') ?? 'data'})`,
  );
  return parts.length === 0 ? undefined : parts.join('\n');
}
