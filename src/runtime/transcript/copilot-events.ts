import type { TaskEvent } from './contract.ts';
import {
  cleanMessage,
  cleanName,
  deniedEvent,
  errorEvent,
  messageEvents,
  sessionEvents,
  toolCall,
  toolResult,
  usageEvent,
} from './event-parts.ts';
import { countAt, type JsonObject, objectAt, parseObject, textAt, valueAt } from './json-fields.ts';
import { unmask, unmaskKeys } from './masked-names.ts';

const TYPES = [
  'assistant.message',
  'assistant.usage',
  'tool.execution_start',
  'tool.execution_complete',
  'model.call_failure',
  'session.error',
  'session.warning',
  'session.start',
  'abort',
  'result',
];
const KEYS = [
  'content',
  'toolCallId',
  'toolName',
  'arguments',
  'success',
  'result',
  'error',
  'message',
  'model',
  'sessionId',
  'exitCode',
  'inputTokens',
  'cacheReadTokens',
  'outputTokens',
  'selectedModel',
];
/** What a tool says that nobody allowed it. */
const DENIED = /^(?:denied|rejected)|permission (?:was )?denied|could not request permission|user rejected/i;

/** An event of Copilot's JSON output; undefined for what is none. */
export function parseCopilotEvent(masked: JsonObject): readonly TaskEvent[] | undefined {
  const event = unmaskKeys(masked, KEYS);
  const written = textAt(event, 'type');
  if (written === undefined || textAt(event, 'timestamp') === undefined) return undefined;
  const type = unmask(written, TYPES);
  const data = unmaskKeys(objectAt(event, 'data') ?? {}, KEYS);
  // Usage and failed calls are told in passing only.
  if (type === 'assistant.usage') return [usageOf(data)];
  if (type === 'model.call_failure') return [{ kind: 'retry', reason: cleanName(describeFailure(data)) }];
  if (valueAt(event, 'ephemeral') === true) return [];
  switch (type) {
    case 'session.start':
      return sessionEvents(textAt(data, 'sessionId'), textAt(data, 'selectedModel'));
    case 'assistant.message':
      return messageEvents(textAt(data, 'content'));
    case 'tool.execution_start':
      return [toolCall(textAt(data, 'toolCallId'), textAt(data, 'toolName'), valueAt(data, 'arguments'))];
    case 'tool.execution_complete':
      return [toolOutcome(data)];
    case 'session.error':
      return [errorEvent(textAt(data, 'message'))];
    case 'session.warning':
      return [{ kind: 'warning', text: cleanMessage(textAt(data, 'message') ?? '') }];
    case 'abort':
      return [errorEvent(`aborted: ${textAt(data, 'reason') ?? 'no reason given'}`)];
    case 'result':
      return [...sessionEvents(textAt(event, 'sessionId'), undefined), resultOf(event)];
    default:
      return [];
  }
}

function toolOutcome(data: JsonObject): TaskEvent {
  const id = textAt(data, 'toolCallId');
  if (valueAt(data, 'success') === true) {
    const exitCode = countAt(data, 'shellExecution', 'exitCode') ?? 0;
    return toolResult(id, exitCode === 0 ? 'ok' : 'failed', textAt(data, 'result', 'content'));
  }
  const reason = textAt(data, 'error', 'message');
  const isDenied =
    DENIED.test(textAt(data, 'error', 'code') ?? '') || DENIED.test(reason?.slice(0, 1000) ?? '');
  // Its name was told when the call began.
  return isDenied
    ? deniedEvent(textAt(data, 'toolDescription', 'name') ?? textAt(data, 'toolName') ?? id, reason)
    : toolResult(id, 'failed', reason);
}

/** Copilot's input counts what came from a cache; its cost is in requests, not in dollars. */
const usageOf = (data: JsonObject): TaskEvent =>
  usageEvent(
    {
      inputTokens: countAt(data, 'inputTokens') ?? 0,
      cachedInputTokens: countAt(data, 'cacheReadTokens') ?? 0,
      outputTokens: countAt(data, 'outputTokens') ?? 0,
    },
    false,
  );

/** The endpoint's answer, which is mostly JSON of its own. */
function describeFailure(data: JsonObject): string {
  const answer = textAt(data, 'errorMessage') ?? 'the API failed';
  const status = countAt(data, 'statusCode');
  const reason = textAt(parseObject(answer), 'message') ?? answer;
  return status === undefined ? reason : `${reason}, HTTP ${status}`;
}

/** Why it failed was an event of its own. */
const resultOf = (event: JsonObject): TaskEvent => ({
  kind: 'result',
  isSuccess: countAt(event, 'exitCode') === 0,
  text: undefined,
  turns: undefined,
});
