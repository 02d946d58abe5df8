import { type Answer, type ApiAnswer, newId, pieces, type StreamEvent, TOKENS } from './answer.ts';
import type { Json } from './json.ts';

const USAGE = {
  prompt_tokens: TOKENS.input,
  prompt_tokens_details: { cached_tokens: TOKENS.cached },
  completion_tokens: TOKENS.output,
  total_tokens: TOKENS.input + TOKENS.output,
};

/** An answer of OpenAI's Chat Completions API. */
export function chatAnswer({ model, text, call }: Answer): ApiAnswer {
  const about = { id: newId('chatcmpl-'), created: Math.floor(Date.now() / 1000), model };
  const finish = call === undefined ? 'stop' : 'tool_calls';
  const id = newId('call_');
  const json = JSON.stringify(call?.input);
  const toolCalls = [{ id, type: 'function', function: { name: call?.name, arguments: json } }];
  const message = {
    role: 'assistant',
    content: call === undefined ? text : null,
    ...(call === undefined ? {} : { tool_calls: toolCalls }),
  };
  const chunk = (delta: Json, reason: string | null = null): StreamEvent => ({
    name: undefined,
    data: {
      ...about,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason: reason }],
    },
  });
  const argument = (part: Json): StreamEvent => chunk({ tool_calls: [{ index: 0, ...part }] });
  const told =
    call === undefined
      ? pieces(text).map((content) => chunk({ content }))
      : [
          argument({ id, type: 'function', function: { name: call.name, arguments: '' } }),
          ...pieces(json).map((part) => argument({ function: { arguments: part } })),
        ];
  return {
    whole: {
      ...about,
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: finish }],
      usage: USAGE,
    },
    stream: [
      chunk({ role: 'assistant', content: call === undefined ? '' : null }),
      ...told,
      chunk({}, finish),
      {
        name: undefined,
        data: { ...about, object: 'chat.completion.chunk', choices: [], usage: USAGE },
      },
      { name: undefined, data: '[DONE]' },
    ],
  };
}
