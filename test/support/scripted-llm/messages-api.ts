import { type Answer, type ApiAnswer, newId, pieces, type StreamEvent, TOKENS } from './answer.ts';
import type { Json } from './json.ts';

const USAGE = {
  input_tokens: TOKENS.input - TOKENS.cached,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: TOKENS.cached,
  output_tokens: TOKENS.output,
};

/** An answer of Anthropic's Messages API. */
export function messagesAnswer({ model, text, call }: Answer): ApiAnswer {
  const content: readonly Json[] = [
    { type: 'text', text },
    ...(call === undefined
      ? []
      : [{ type: 'tool_use', id: newId('toolu_'), name: call.name, input: call.input }]),
  ];
  const stopReason = call === undefined ? 'end_turn' : 'tool_use';
  const message = { id: newId('msg_'), type: 'message', role: 'assistant', model, stop_sequence: null };
  const whole = { ...message, content, stop_reason: stopReason, usage: USAGE };
  const begun = { ...message, content: [], stop_reason: null, usage: { ...USAGE, output_tokens: 1 } };
  return {
    whole,
    stream: [
      event('message_start', { message: begun }),
      ...content.flatMap(blockEvents),
      event('message_delta', {
        delta: { stop_reason: stopReason, stop_sequence: null },
        usage: { output_tokens: TOKENS.output },
      }),
      event('message_stop', {}),
    ],
  };
}

function blockEvents(block: Json, index: number): readonly StreamEvent[] {
  const isText = block['type'] === 'text';
  const deltas = isText
    ? pieces(String(block['text'])).map((text) => ({ type: 'text_delta', text }))
    : pieces(JSON.stringify(block['input'])).map((json) => ({
        type: 'input_json_delta',
        partial_json: json,
      }));
  return [
    event('content_block_start', {
      index,
      content_block: isText ? { type: 'text', text: '' } : { ...block, input: {} },
    }),
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
    event('content_block_stop', { index }),
  ];
}

const event = (type: string, data: Json): StreamEvent => ({ name: type, data: { type, ...data } });
