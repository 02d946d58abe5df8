import { type Json, listOf, recordOf, recordsOf, textOf } from './json.ts';

/** The three ways in which agents speak to models. */
export type Api = 'messages' | 'responses' | 'chat';

/** One turn of a conversation, whichever way it came. */
export interface Turn {
  readonly kind: 'user' | 'assistant' | 'tool_result';
  /** Text blocks as they came, byte for byte. */
  readonly texts: readonly string[];
}

/** What was said so far, without system prompts and what agents tell models on their own account. */
export function conversationOf(api: Api, body: Json): readonly Turn[] {
  switch (api) {
    case 'messages':
      return recordsOf(body['messages']).flatMap(messagesTurns);
    case 'responses':
      return typeof body['input'] === 'string'
        ? [{ kind: 'user', texts: [body['input']] }]
        : recordsOf(body['input']).flatMap(responsesTurns);
    case 'chat':
      return recordsOf(body['messages']).flatMap(chatTurns);
  }
}

/** The prompts of a person, each as it came. */
export const promptsOf = (conversation: readonly Turn[]): readonly string[] =>
  conversation.filter(({ kind }) => kind === 'user').map(({ texts }) => texts.join('\n'));

const REMINDER = /^\s*<system-reminder>[\s\S]*<\/system-reminder>\s*$/;
/** Codex tells where it is, and what AGENTS.md says, in the name of the user. */
const CONTEXT = /^\s*(?:<(?:environment_context|user_instructions|permissions|INSTRUCTIONS)|# AGENTS\.md)/;

function messagesTurns({ role, content }: Json): readonly Turn[] {
  const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : recordsOf(content);
  const results = blocks.filter(({ type }) => type === 'tool_result');
  if (results.length > 0)
    return results.map((result) => ({ kind: 'tool_result', texts: textsOf(result['content']) }));
  const texts = textsOf(blocks).filter((text) => role !== 'user' || !REMINDER.test(text));
  if (texts.length === 0) return [];
  return role === 'user' || role === 'assistant' ? [{ kind: role, texts }] : [];
}

function responsesTurns(item: Json): readonly Turn[] {
  const type = textOf(item['type']) ?? 'message';
  if (type.endsWith('_call_output')) {
    const output = item['output'];
    return [{ kind: 'tool_result', texts: [typeof output === 'string' ? output : JSON.stringify(output)] }];
  }
  const role = item['role'];
  if (type !== 'message' || (role !== 'user' && role !== 'assistant')) return [];
  const texts = textsOf(item['content']).filter((text) => role === 'assistant' || !CONTEXT.test(text));
  return texts.length === 0 ? [] : [{ kind: role, texts }];
}

function chatTurns({ role, content }: Json): readonly Turn[] {
  const texts = textsOf(content);
  if (role === 'tool') return [{ kind: 'tool_result', texts }];
  return role === 'user' || role === 'assistant' ? [{ kind: role, texts }] : [];
}

const textsOf = (content: unknown): readonly string[] =>
  typeof content === 'string'
    ? [content]
    : listOf(content).flatMap((block) => {
        const text = textOf(recordOf(block)['text']);
        return text === undefined ? [] : [text];
      });
