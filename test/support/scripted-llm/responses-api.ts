import { type Answer, type ApiAnswer, newId, pieces, type StreamEvent, TOKENS } from './answer.ts';
import type { Json } from './json.ts';
import type { ToolCall } from './tool-calls.ts';

const USAGE = {
  input_tokens: TOKENS.input,
  input_tokens_details: { cached_tokens: TOKENS.cached },
  output_tokens: TOKENS.output,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: TOKENS.input + TOKENS.output,
};

/** An answer of OpenAI's Responses API. */
export function responsesAnswer({ model, text, call }: Answer): ApiAnswer {
  const response = {
    id: newId('resp_'),
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    model,
    parallel_tool_calls: false,
    tools: [],
    error: null,
    incomplete_details: null,
  };
  const item = call === undefined ? messageItem(text) : callItem(call);
  const whole = { ...response, status: 'completed', output: [item], usage: USAGE };
  const begun = { ...response, status: 'in_progress', output: [] };
  const events: readonly Json[] = [
    { type: 'response.created', response: begun },
    ...itemEvents(item),
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: whole },
  ];
  return {
    whole,
    stream: events.map(
      (data, index): StreamEvent => ({
        name: String(data['type']),
        data: { ...data, sequence_number: index },
      }),
    ),
  };
}

const messageItem = (text: string): Json => ({
  type: 'message',
  id: newId('msg_'),
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text, annotations: [] }],
});

function callItem({ name, namespace, input }: ToolCall): Json {
  const about = {
    call_id: newId('call_'),
    name,
    status: 'completed',
    ...(namespace === undefined ? {} : { namespace }),
  };
  return typeof input === 'string'
    ? { type: 'custom_tool_call', id: newId('ctc_'), ...about, input }
    : { type: 'function_call', id: newId('fc_'), ...about, arguments: JSON.stringify(input) };
}

function itemEvents(item: Json): readonly Json[] {
  const added = (emptied: Json): Json => ({
    type: 'response.output_item.added',
    output_index: 0,
    item: { ...item, status: 'in_progress', ...emptied },
  });
  const where = { item_id: item['id'], output_index: 0 };
  if (item['type'] === 'custom_tool_call') return [added({ input: '' })];
  if (item['type'] === 'function_call') {
    const json = String(item['arguments']);
    return [
      added({ arguments: '' }),
      ...pieces(json).map((delta) => ({ type: 'response.function_call_arguments.delta', ...where, delta })),
      { type: 'response.function_call_arguments.done', ...where, arguments: json },
    ];
  }
  const [part] = Array.isArray(item['content']) ? item['content'] : [];
  const text = String(part?.text);
  const inPart = { ...where, content_index: 0 };
  return [
    added({ content: [] }),
    { type: 'response.content_part.added', ...inPart, part: { ...part, text: '' } },
    ...pieces(text).map((delta) => ({ type: 'response.output_text.delta', ...inPart, delta })),
    { type: 'response.output_text.done', ...inPart, text },
    { type: 'response.content_part.done', ...inPart, part },
  ];
}
