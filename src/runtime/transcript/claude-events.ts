import type { TaskEvent, Usage } from './contract.ts';
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
import {
  amountAt,
  countAt,
  type JsonObject,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './json-fields.ts';

const MAX_DENIED = 20;
/** Claude's own placeholder for a turn in which it had nothing to say. */
const NOTHING_SAID = 'No response requested.';

/** An event of Claude Code's stream-json, which Qwen Code writes too; undefined for what is none of theirs. */
export function parseClaudeEvent(event: JsonObject): readonly TaskEvent[] | undefined {
  switch (textAt(event, 'type')) {
    case 'system':
      return systemEvents(event);
    case 'assistant':
      return assistantEvents(event);
    case 'user':
      return objectsAt(event, 'message', 'content').flatMap((block) =>
        textAt(block, 'type') === 'tool_result' ? [resultOfTool(block)] : [],
      );
    case 'result':
      return resultEvents(event);
    case undefined:
      return undefined;
    default:
      return textAt(event, 'session_id') === undefined && textAt(event, 'uuid') === undefined
        ? undefined
        : [];
  }
}

function systemEvents(event: JsonObject): readonly TaskEvent[] | undefined {
  const subtype = textAt(event, 'subtype');
  switch (subtype) {
    case 'init':
      return sessionEvents(textAt(event, 'session_id'), textAt(event, 'model'));
    case 'permission_denied':
      return [deniedEvent(textAt(event, 'tool_name'), textAt(event, 'message'))];
    case 'model_refusal_no_fallback':
      return [{ kind: 'warning', text: cleanMessage(textAt(event, 'content') ?? 'the model refused') }];
    case undefined:
      return undefined;
    default:
      return subtype.endsWith('_retry') ? [{ kind: 'retry', reason: retryReason(event) }] : [];
  }
}

function retryReason(event: JsonObject): string {
  const status = countAt(event, 'error_status');
  const attempt = countAt(event, 'attempt');
  const limit = countAt(event, 'max_retries');
  return cleanName(
    [
      textAt(event, 'error') ?? textAt(event, 'error', 'message') ?? 'the API failed',
      status === undefined ? undefined : `HTTP ${status}`,
      attempt === undefined ? undefined : `attempt ${attempt}${limit === undefined ? '' : ` of ${limit}`}`,
    ]
      .filter((part) => part !== undefined)
      .join(', '),
  );
}

function assistantEvents(event: JsonObject): readonly TaskEvent[] {
  const isFailure =
    textAt(event, 'message', 'model') === '<synthetic>' ||
    valueAt(event, 'isApiErrorMessage') === true ||
    textAt(event, 'error') !== undefined;
  return objectsAt(event, 'message', 'content').flatMap((block): readonly TaskEvent[] => {
    const type = textAt(block, 'type') ?? '';
    if (type === 'text') {
      const text = textAt(block, 'text');
      if (!isFailure) return messageEvents(text);
      return text === NOTHING_SAID ? [] : [errorEvent(text)];
    }
    if (type.endsWith('tool_use'))
      return [toolCall(textAt(block, 'id'), textAt(block, 'name'), valueAt(block, 'input'))];
    return [];
  });
}

const resultOfTool = (block: JsonObject): TaskEvent =>
  toolResult(
    textAt(block, 'tool_use_id'),
    valueAt(block, 'is_error') === true ? 'failed' : 'ok',
    describeOutput(block, 'content'),
  );

function resultEvents(event: JsonObject): readonly TaskEvent[] {
  const subtype = textAt(event, 'subtype') ?? '';
  const isSuccess = valueAt(event, 'is_error') !== true && !subtype.startsWith('error');
  const usage = usageOf(event);
  const errors = textsAt(event, 'errors').join('\n');
  const text =
    textAt(event, 'result') ??
    (isSuccess ? undefined : errors || textAt(event, 'error', 'message') || subtype.replaceAll('_', ' '));
  return [
    ...(usage === undefined ? [] : [usageEvent(usage, true)]),
    {
      kind: 'result',
      isSuccess,
      text: text === undefined ? undefined : cleanMessage(text),
      turns: countAt(event, 'num_turns'),
      denied: objectsAt(event, 'permission_denials')
        .slice(0, MAX_DENIED)
        .map((denial) => cleanName(textAt(denial, 'tool_name') ?? 'unknown')),
    },
  ];
}

/** Of this run. What a resumed conversation cost before is in `total_cost_usd`, and not in what came since. */
function usageOf(event: JsonObject): Usage | undefined {
  const usage = objectAt(event, 'usage');
  if (usage === undefined) return undefined;
  const cached = countAt(usage, 'cache_read_input_tokens') ?? 0;
  const costUsd = costSinceLastResult(event) ?? amountAt(event, 'total_cost_usd');
  return {
    inputTokens:
      (countAt(usage, 'input_tokens') ?? 0) + (countAt(usage, 'cache_creation_input_tokens') ?? 0) + cached,
    cachedInputTokens: cached,
    outputTokens: countAt(usage, 'output_tokens') ?? 0,
    ...(costUsd === undefined ? {} : { costUsd }),
  };
}

function costSinceLastResult(event: JsonObject): number | undefined {
  const models = Object.keys(objectAt(event, 'model_usage_since_last_result') ?? {}).slice(0, MAX_DENIED);
  const costs = models.map((model) => amountAt(event, 'model_usage_since_last_result', model, 'costUSD'));
  return costs.length === 0 ? undefined : costs.reduce<number>((sum, cost) => sum + (cost ?? 0), 0);
}
