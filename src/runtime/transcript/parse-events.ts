import { parseClaudeEvent } from './claude-events.ts';
import { parseCodexEvent } from './codex-events.ts';
import type { EventFormat, TaskEvent } from './contract.ts';
import { parseCopilotEvent } from './copilot-events.ts';
import { parseCopilotTelemetry } from './copilot-telemetry.ts';
import { cleanMessage } from './event-parts.ts';
import { parseGeminiEvent } from './gemini-events.ts';
import { type JsonObject, parseObject } from './json-fields.ts';
import { parseOpencodeEvent, parseOpencodeLog } from './opencode-events.ts';

/** One line that a container printed. */
export interface PrintedLine {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  /** Bytes of it that were left out, being too many. */
  readonly leftOut?: number | undefined;
}

/** Gives undefined for an object that is no event of its agent, and never throws. */
type EventParser = (event: JsonObject) => readonly TaskEvent[] | undefined;

const PARSERS: Readonly<Record<Exclude<EventFormat, 'text'>, EventParser>> = {
  claude: parseClaudeEvent,
  // Qwen Code writes Claude's events, without their cost.
  qwen: parseClaudeEvent,
  codex: parseCodexEvent,
  opencode: parseOpencodeEvent,
  copilot: parseCopilotEvent,
  gemini: parseGeminiEvent,
};

/** What some tell nowhere but on standard error. */
const LOG_PARSERS: Partial<Record<EventFormat, (line: string) => readonly TaskEvent[] | undefined>> = {
  opencode: parseOpencodeLog,
  copilot: parseCopilotTelemetry,
};

/**
 * What one line means (pure and total). Whatever is no event of this agent is `text`; an event that tells nothing
 * new, like a piece of a message that comes whole later, is none.
 */
export function parseEvents(format: EventFormat, line: PrintedLine): readonly TaskEvent[] {
  if (format === 'text' || line.leftOut !== undefined) return [textEvent(line)];
  if (line.stream === 'stderr') return LOG_PARSERS[format]?.(line.text) ?? [textEvent(line)];
  const event = parseObject(line.text);
  return (event === undefined ? undefined : PARSERS[format](event)) ?? [textEvent(line)];
}

export function textEvent({ stream, text, leftOut }: PrintedLine): TaskEvent {
  const note = leftOut === undefined ? '' : `… (${leftOut} bytes left out)`;
  return { kind: 'text', stream, text: `${cleanMessage(text)}${note}` };
}
