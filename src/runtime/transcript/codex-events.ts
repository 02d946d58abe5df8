import type { TaskEvent } from './contract.ts';
import {
  cleanMessage,
  cleanName,
  deniedEvent,
  describeOutput,
  errorEvent,
  messageEvents,
  sessionEvents,
  toolCall,
  toolResult,
  usageEvent,
} from './event-parts.ts';
import { countAt, type JsonObject, objectAt, objectsAt, textAt, valueAt } from './json-fields.ts';

/** Codex says by an error event that it tries again by itself. */
const TRYING_AGAIN = /^(?:Reconnecting|Retrying)\b/i;

/** An event of `codex exec --json`; undefined for what is none. */
export function parseCodexEvent(event: JsonObject): readonly TaskEvent[] | undefined {
  const type = textAt(event, 'type') ?? '';
  switch (type) {
    case 'thread.started':
      return sessionEvents(textAt(event, 'thread_id'), undefined);
    case 'turn.completed':
      return [...usageEvents(objectAt(event, 'usage')), ending(true, undefined)];
    case 'turn.failed': {
      const text = textAt(event, 'error', 'message');
      return [errorEvent(text), ending(false, text)];
    }
    case 'error': {
      const text = textAt(event, 'message');
      return text !== undefined && TRYING_AGAIN.test(text)
        ? [{ kind: 'retry', reason: cleanName(text) }]
        : [errorEvent(text)];
    }
    case 'item.started':
      return itemStarted(objectAt(event, 'item') ?? {});
    case 'item.completed':
      return itemCompleted(objectAt(event, 'item') ?? {});
    default:
      return /^(?:thread|turn|item)\./.test(type) ? [] : undefined;
  }
}

const ending = (isSuccess: boolean, text: string | undefined): TaskEvent => ({
  kind: 'result',
  isSuccess,
  text: text === undefined ? undefined : cleanMessage(text),
  turns: undefined,
});

function usageEvents(usage: JsonObject | undefined): readonly TaskEvent[] {
  if (usage === undefined) return [];
  return [
    usageEvent(
      {
        inputTokens: countAt(usage, 'input_tokens') ?? 0,
        cachedInputTokens: countAt(usage, 'cached_input_tokens') ?? 0,
        outputTokens: countAt(usage, 'output_tokens') ?? 0,
      },
      false,
    ),
  ];
}

/** Items that take time are told twice; the others only when they are complete. */
function itemStarted(item: JsonObject): readonly TaskEvent[] {
  const call = callOf(item);
  return call === undefined || textAt(item, 'type') === 'file_change' ? [] : [call];
}

function itemCompleted(item: JsonObject): readonly TaskEvent[] {
  const id = textAt(item, 'id');
  const status = textAt(item, 'status');
  switch (textAt(item, 'type')) {
    case 'agent_message':
      return messageEvents(textAt(item, 'text'));
    case 'error':
      return [{ kind: 'warning', text: cleanMessage(textAt(item, 'message') ?? '') }];
    case 'command_execution': {
      if (status === 'declined') return [deniedEvent('shell', textAt(item, 'command'))];
      const exitCode = valueAt(item, 'exit_code');
      const isOk = status !== 'failed' && (typeof exitCode !== 'number' || exitCode === 0);
      return [toolResult(id, isOk ? 'ok' : 'failed', textAt(item, 'aggregated_output'))];
    }
    case 'file_change':
      if (status === 'declined') return [deniedEvent('edit', describeChanges(item))];
      return [
        toolCall(id, 'edit', describeChanges(item)),
        toolResult(id, status === 'failed' ? 'failed' : 'ok', undefined),
      ];
    case 'mcp_tool_call':
      if (status === 'declined') return [deniedEvent(toolName(item), undefined)];
      return [
        toolResult(
          id,
          status === 'failed' ? 'failed' : 'ok',
          textAt(item, 'error', 'message') ?? describeOutput(objectAt(item, 'result') ?? {}, 'content'),
        ),
      ];
    case 'web_search':
      return [toolResult(id, 'ok', textAt(item, 'query'))];
    default:
      return [];
  }
}

function callOf(item: JsonObject): TaskEvent | undefined {
  const id = textAt(item, 'id');
  switch (textAt(item, 'type')) {
    case 'command_execution':
      return toolCall(id, 'shell', textAt(item, 'command'));
    case 'mcp_tool_call':
      return toolCall(id, toolName(item), valueAt(item, 'arguments'));
    case 'web_search':
      return toolCall(id, 'web_search', textAt(item, 'query'));
    default:
      return undefined;
  }
}

const toolName = (item: JsonObject): string =>
  `${textAt(item, 'server') ?? 'mcp'}.${textAt(item, 'tool') ?? 'unknown'}`;

const describeChanges = (item: JsonObject): string =>
  objectsAt(item, 'changes')
    .map((change) => `${textAt(change, 'kind') ?? 'change'} ${textAt(change, 'path') ?? ''}`)
    .join(', ');
