import { expect, it } from 'vitest';
import type { RecordedEvent } from '../../../src/runtime/core/event-log.ts';
import { noticesOf } from '../../../src/runtime/tasks/task-notices.ts';

const event = (kind: string, at: string, data: RecordedEvent['data'] = {}): RecordedEvent => ({
  id: 1,
  at,
  project: 'demo',
  task: 'k3f9a',
  actor: 'system',
  kind,
  data,
});

const found = {
  file: '.claude/.credentials.json',
  advice: 'Run "terok-mcp auth claude".',
  provider: 'claude',
};

it('says what happened with a task’s credentials since it was started, each once, and nothing else', () => {
  const events = [
    event('credential.found_in_task', 'T1', { ...found, file: 'old' }),
    event('credential.found_in_task', 'T3', found),
    event('credential.found_in_task', 'T4', found),
    event('credential.misused', 'T4'),
    event('budget.exceeded', 'T5', { approval: 'a1' }),
    event('task.completed', 'T6'),
  ];
  expect(noticesOf(events, { startedAt: 'T2' })).toEqual([
    'A real credential was left in it (.claude/.credentials.json). Run "terok-mcp auth claude".',
    'It tried a token of another task, which was refused.',
    'At T5 it had used up its budget; a person can give it more: terok-mcp approvals.',
  ]);
  expect(noticesOf(events, { startedAt: undefined })).toHaveLength(4);
});

it('cleans the name of a file, which a container chose', () => {
  const [notice = ''] = noticesOf(
    [event('credential.found_in_task', 'T1', { ...found, file: 'a\u001b[2Jb\nc' })],
    { startedAt: undefined },
  );
  expect(notice).not.toMatch(/[\u0000-\u001f]/);
});
