import type { RecordedEvent } from '../core/event-log.ts';
import { cleanLine } from '../core/untrusted-text.ts';

/** Events that somebody who looks at a task should be told of in words. */
export const NOTICE_KINDS = ['credential.found_in_task', 'credential.misused', 'budget.exceeded'] as const;

/** What happened with the credentials of a task since its last start, each once (pure). */
export function noticesOf(
  events: readonly RecordedEvent[],
  { startedAt }: { readonly startedAt: string | undefined },
): readonly string[] {
  const recent = events.filter(({ at }) => startedAt === undefined || at >= startedAt);
  return [...new Set(recent.flatMap(noticeOf))];
}

function noticeOf({ kind, at, data }: RecordedEvent): readonly string[] {
  switch (kind) {
    case 'credential.found_in_task':
      return [`A real credential was left in it (${text(data, 'file')}). ${text(data, 'advice')}`];
    case 'credential.misused':
      return ['It tried a token of another task, which was refused.'];
    case 'budget.exceeded':
      return [`At ${at} it had used up its budget; a person can give it more: terok-mcp approvals.`];
    default:
      return [];
  }
}

const text = (data: RecordedEvent['data'], name: string): string => cleanLine(String(data[name] ?? ''), 300);
