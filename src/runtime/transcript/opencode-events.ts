import type { TaskEvent } from './contract.ts';
import {
  cleanName,
  deniedEvent,
  errorEvent,
  messageEvents,
  sessionEvents,
  toolCall,
  toolResult,
  usageEvent,
} from './event-parts.ts';
import { amountAt, countAt, type JsonObject, objectAt, textAt, valueAt } from './json-fields.ts';

/** What OpenCode says of a tool that a rule, or nobody being there to ask, kept from running. */
const DENIED = /rejected permission|rule which prevents you|permission denied by ruleset/i;

/**
 * What OpenCode's own log (`--print-logs`, on the error stream) says of a failed call, which its events do not tell;
 * undefined for any other line. It names conversations in passing, and that failing matters to nobody.
 */
export function parseOpencodeLog(line: string): readonly TaskEvent[] | undefined {
  const isFailedCall = /^timestamp=\S+ level=ERROR .{0,500}\bmessage="stream error"/.test(line);
  if (!isFailedCall || /\bagent=title\b/.test(line)) return undefined;
  const reason = /\berror\.error="((?:[^"\\]|\\.){1,500})/.exec(line)?.[1] ?? 'the API failed';
  return [{ kind: 'retry', reason: cleanName(reason) }];
}

/** An event of `opencode run --format json`; undefined for what is none. */
export function parseOpencodeEvent(event: JsonObject): readonly TaskEvent[] | undefined {
  const type = textAt(event, 'type');
  const session = textAt(event, 'sessionID');
  if (type === undefined || session === undefined) return undefined;
  const part = objectAt(event, 'part');
  switch (type) {
    case 'step_start':
      return sessionEvents(session, undefined);
    case 'text':
      return messageEvents(textAt(part, 'text'));
    case 'tool_use':
      return toolEvents(part);
    case 'step_finish':
      return stepEvents(part);
    case 'error':
      return [...sessionEvents(session, undefined), errorEvent(describeError(event))];
    default:
      return [];
  }
}

function toolEvents(part: JsonObject | undefined): readonly TaskEvent[] {
  const id = textAt(part, 'callID');
  const tool = textAt(part, 'tool');
  const state = objectAt(part, 'state');
  const call = toolCall(id, tool, valueAt(state, 'input'));
  if (textAt(state, 'status') !== 'error') {
    const exitCode = countAt(state, 'metadata', 'exit') ?? 0;
    return [call, toolResult(id, exitCode === 0 ? 'ok' : 'failed', textAt(state, 'output'))];
  }
  const reason = textAt(state, 'error');
  const isDenied = reason !== undefined && DENIED.test(reason.slice(0, 1000));
  return [call, isDenied ? deniedEvent(tool, reason) : toolResult(id, 'failed', reason)];
}

function stepEvents(part: JsonObject | undefined): readonly TaskEvent[] {
  const tokens = objectAt(part, 'tokens');
  const cached = countAt(tokens, 'cache', 'read') ?? 0;
  const costUsd = amountAt(part, 'cost');
  const usage = usageEvent(
    {
      inputTokens: (countAt(tokens, 'input') ?? 0) + (countAt(tokens, 'cache', 'write') ?? 0) + cached,
      cachedInputTokens: cached,
      outputTokens: (countAt(tokens, 'output') ?? 0) + (countAt(tokens, 'reasoning') ?? 0),
      ...(costUsd === undefined ? {} : { costUsd }),
    },
    false,
  );
  // Any other reason means that it goes on, or that it did not get to its end.
  return textAt(part, 'reason') === 'stop'
    ? [usage, { kind: 'result', isSuccess: true, text: undefined, turns: undefined }]
    : [usage];
}

const describeError = (event: JsonObject): string | undefined =>
  textAt(event, 'error', 'data', 'message') ??
  textAt(event, 'error', 'message') ??
  textAt(event, 'error', 'name') ??
  textAt(event, 'error');
