import type { TaskEvent } from './contract.ts';
import {
  cleanMessage,
  errorEvent,
  messageEvents,
  sessionEvents,
  toolCall,
  toolResult,
  usageEvent,
} from './event-parts.ts';
import { countAt, type JsonObject, objectAt, textAt, valueAt } from './json-fields.ts';

/** An event of Gemini CLI's stream-json; undefined for what is none. */
export function parseGeminiEvent(event: JsonObject): readonly TaskEvent[] | undefined {
  const type = textAt(event, 'type');
  if (type === undefined || textAt(event, 'timestamp') === undefined) return undefined;
  switch (type) {
    case 'init':
      return sessionEvents(textAt(event, 'session_id'), textAt(event, 'model'));
    case 'message':
      return textAt(event, 'role') === 'assistant' ? messageOf(event) : [];
    case 'tool_use':
      return [toolCall(textAt(event, 'tool_id'), textAt(event, 'tool_name'), valueAt(event, 'parameters'))];
    case 'tool_result': {
      const status = textAt(event, 'status') === 'success' ? 'ok' : 'failed';
      const output = textAt(event, 'output') ?? textAt(event, 'error', 'message');
      return [toolResult(textAt(event, 'tool_id'), status, output)];
    }
    case 'error': {
      const text = textAt(event, 'message');
      return textAt(event, 'severity') === 'warning'
        ? [{ kind: 'warning', text: cleanMessage(text ?? '') }]
        : [errorEvent(text)];
    }
    case 'result':
      return resultEvents(event);
    default:
      return [];
  }
}

function messageOf(event: JsonObject): readonly TaskEvent[] {
  const text = textAt(event, 'content');
  if (valueAt(event, 'delta') !== true) return messageEvents(text);
  return text === undefined ? [] : [{ kind: 'message', text: cleanMessage(text), isPart: true }];
}

function resultEvents(event: JsonObject): readonly TaskEvent[] {
  const stats = objectAt(event, 'stats');
  const isSuccess = textAt(event, 'status') === 'success';
  const text = textAt(event, 'error', 'message');
  return [
    ...(stats === undefined
      ? []
      : [
          usageEvent(
            {
              inputTokens: countAt(stats, 'input_tokens') ?? 0,
              cachedInputTokens: countAt(stats, 'cached') ?? 0,
              outputTokens: countAt(stats, 'output_tokens') ?? 0,
            },
            true,
          ),
        ]),
    {
      kind: 'result',
      isSuccess,
      text: text === undefined ? undefined : cleanMessage(text),
      turns: undefined,
    },
  ];
}
