import { headOf } from '../core/untrusted-text.ts';
import type { RunSummary, TimedEvent, TranscriptFormat } from './contract.ts';
import { addUsage } from './usage.ts';

const MAX_TEXT_CHARS = 4000;
const MAX_DENIED = 20;

/** A summary with one more event (pure). */
export function addEvent(summary: RunSummary, event: TimedEvent, format: TranscriptFormat): RunSummary {
  const { isMessagePart, ...before } = summary;
  const known = noticeUnknownSession(before, event, format);
  if (event.kind === 'text') return { ...known, ...(isMessagePart === undefined ? {} : { isMessagePart }) };
  const next = { ...known, events: known.events + 1 };
  switch (event.kind) {
    case 'session':
      return { ...next, session: event.id };
    case 'message': {
      const told = event.isPart === true && isMessagePart === true ? (summary.lastMessage ?? '') : '';
      const lastMessage = headOf(`${told}${event.text}`, MAX_TEXT_CHARS);
      return { ...progressing(next), lastMessage, ...(event.isPart === true ? { isMessagePart: true } : {}) };
    }
    case 'tool_call':
      return { ...progressing(next), toolCalls: next.toolCalls + 1 };
    case 'tool_result':
      return progressing(next);
    case 'denied':
      return {
        ...progressing(next),
        denied: [...next.denied, event.tool].slice(0, MAX_DENIED),
        deniedCount: next.deniedCount + 1,
      };
    case 'usage':
      return { ...next, usage: addUsage(event.isTotal ? undefined : next.usage, event) };
    case 'retry':
      return {
        ...next,
        retries: next.retries + 1,
        retryReason: event.reason,
        retryingSince: next.retryingSince ?? event.at,
      };
    case 'warning':
      return next;
    case 'error':
      return { ...next, lastError: headOf(event.text, MAX_TEXT_CHARS) };
    case 'result':
      return withResult(next, event);
  }
}

function withResult(summary: RunSummary, event: Extract<TimedEvent, { kind: 'result' }>): RunSummary {
  const { lastError, ...rest } = summary;
  const denied = event.denied ?? [];
  const text = event.text === undefined ? undefined : headOf(event.text, MAX_TEXT_CHARS);
  // A success says nothing about an error that nothing went well after: some agents end well whatever happened.
  const error = event.isSuccess ? lastError : (text ?? lastError);
  return {
    ...rest,
    result: event.isSuccess ? 'success' : 'failure',
    // The list of all denials repeats those that were told as they came.
    ...(denied.length > rest.deniedCount
      ? { denied: denied.slice(0, MAX_DENIED), deniedCount: denied.length }
      : {}),
    ...(event.turns === undefined ? {} : { turns: event.turns }),
    ...(event.isSuccess && text !== undefined ? { lastMessage: text } : {}),
    ...(error === undefined ? {} : { lastError: error }),
  };
}

/** Something went well: what failed before it was overcome, and the conversation is known. */
function progressing(summary: RunSummary): RunSummary {
  const { retryReason: _reason, retryingSince: _since, lastError: _error, ...rest } = summary;
  return { ...rest, retries: 0, isSessionUnknown: false };
}

/** Believed only of a run in which nothing has happened yet: later on, it could be what a tool printed. */
function noticeUnknownSession(
  summary: RunSummary,
  event: TimedEvent,
  { sessionNotFound }: TranscriptFormat,
): RunSummary {
  if (sessionNotFound === undefined || summary.toolCalls > 0 || summary.lastMessage !== undefined)
    return summary;
  const said = event.kind === 'text' || event.kind === 'error' || isFailure(event) ? event.text : undefined;
  return said?.includes(sessionNotFound) === true ? { ...summary, isSessionUnknown: true } : summary;
}

const isFailure = (event: TimedEvent): event is Extract<TimedEvent, { kind: 'result' }> =>
  event.kind === 'result' && !event.isSuccess;
