import type { TaskEvent } from './contract.ts';
import { usageEvent } from './event-parts.ts';
import { countAt, objectAt, parseObject, textAt, valueAt } from './json-fields.ts';

/**
 * A line of Copilot's telemetry, which its wrapper copies to standard error: nothing else tells what its calls of the
 * model used. Undefined for a line of any other kind.
 */
export function parseCopilotTelemetry(line: string): readonly TaskEvent[] | undefined {
  const record = parseObject(line);
  const type = textAt(record, 'type');
  if ((type !== 'span' && type !== 'metric') || objectAt(record, 'instrumentationScope') === undefined)
    return undefined;
  const attributes = objectAt(record, 'attributes');
  const inputTokens = countAt(attributes, 'gen_ai.usage.input_tokens');
  // Spans of a whole run sum up those of its calls, and metrics all of them.
  if (inputTokens === undefined || valueAt(attributes, 'gen_ai.operation.name') !== 'chat') return [];
  return [
    usageEvent(
      {
        inputTokens,
        cachedInputTokens: countAt(attributes, 'gen_ai.usage.cache_read.input_tokens') ?? 0,
        outputTokens: countAt(attributes, 'gen_ai.usage.output_tokens') ?? 0,
      },
      false,
    ),
  ];
}
