import { cutText } from '../core/untrusted-text.ts';
import type { TaskEvent, Usage } from './contract.ts';

/** Of what tools are asked and answer, and of what went wrong. */
const MAX_CHARS = 500;

/** One event as lines for people and assistants (pure). What was said stands as it is; the rest is marked. */
export function renderEvent(event: TaskEvent): readonly string[] {
  switch (event.kind) {
    case 'session':
      return [`[session] ${event.id}${event.model === undefined ? '' : ` (${event.model})`}`];
    case 'message':
    case 'text':
      return event.text.split('\n');
    case 'tool_call':
      return marked('tool', event.input === '' ? event.tool : `${event.tool}: ${event.input}`);
    case 'tool_result':
      return marked(event.status === 'ok' ? 'result' : 'failed', event.output);
    case 'denied':
      return marked('denied', event.reason === '' ? event.tool : `${event.tool}: ${event.reason}`);
    case 'usage':
      return [`[usage] ${describeUsage(event)}${event.isTotal ? ' in all' : ''}`];
    case 'retry':
      return [`[retry] ${event.reason}`];
    case 'warning':
      return marked('warning', event.text);
    case 'error':
      return marked('error', event.text);
    case 'result':
      return endOf(event);
  }
}

/** Of an output of several lines, the second and later ones are set in. */
function marked(mark: string, text: string): readonly string[] {
  const [first = '', ...others] = cutText(text.trim(), MAX_CHARS).split('\n');
  return [`[${mark}]${first === '' ? '' : ` ${first}`}`, ...others.map((line) => `  ${line}`)];
}

function describeUsage({ inputTokens, cachedInputTokens, outputTokens, costUsd }: Usage): string {
  const cached = cachedInputTokens === 0 ? '' : ` (${cachedInputTokens} cached)`;
  const cost = costUsd === undefined || costUsd === 0 ? '' : `, $${costUsd.toFixed(4)}`;
  return `${inputTokens} tokens in${cached}, ${outputTokens} out${cost}`;
}

function endOf(event: Extract<TaskEvent, { kind: 'result' }>): readonly string[] {
  const denied = event.denied?.length ?? 0;
  const facts = [
    event.isSuccess ? 'success' : 'failure',
    ...(event.turns === undefined ? [] : [`${event.turns} ${event.turns === 1 ? 'turn' : 'turns'}`]),
    ...(denied === 0 ? [] : [`${denied} denied`]),
  ].join(', ');
  // What a success says is its last message, which has been told.
  return marked('end', event.isSuccess || event.text === undefined ? facts : `${facts}: ${event.text}`);
}
