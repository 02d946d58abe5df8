import { describe, expect, it } from 'vitest';
import type { ContainerState } from '../../../src/runtime/engine/contract.ts';
import type { TaskState } from '../../../src/runtime/tasks/contract.ts';
import { TaskState as States } from '../../../src/runtime/tasks/contract.ts';
import { planRepairs } from '../../../src/runtime/tasks/reconcile-plan.ts';
import { canBecome } from '../../../src/runtime/tasks/state.ts';
import { exampleTask } from '../../support/example-spec.ts';

const container = (change: Partial<ContainerState> = {}): ContainerState => ({
  id: 'abc',
  name: 'demo-run-k3f9a',
  labels: { 'ai.terok.task': 'k3f9a' },
  status: 'running',
  exitCode: 0,
  wasOutOfMemory: false,
  pid: 7,
  startedAt: undefined,
  finishedAt: undefined,
  ...change,
});
const exited = container({ status: 'exited', exitCode: 3 });

describe('what the next start makes of a task', () => {
  it.each<[TaskState, ContainerState | undefined, string[]]>([
    ['creating', undefined, ['undo', 'lower-shield', 'remove-services']],
    ['creating', container(), ['undo', 'lower-shield', 'remove-services']],
    ['deleting', undefined, ['resume-delete', 'lower-shield', 'remove-services']],
    ['starting', container(), ['resume']],
    ['running', container(), ['resume']],
    ['running', exited, ['finish', 'lower-shield', 'remove-services']],
    ['running', undefined, ['finish', 'lower-shield', 'remove-services']],
    ['stopping', container(), ['stop', 'lower-shield', 'remove-services']],
    ['completed', exited, ['lower-shield', 'remove-services']],
    ['completed', container(), ['stop', 'lower-shield', 'remove-services']],
    ['failed', undefined, ['lower-shield', 'remove-services']],
  ])('%s', (state, found, expected) => {
    const repairs = planRepairs({
      tasks: [exampleTask({ state })],
      containers: found === undefined ? [] : [found],
      raised: ['k3f9a'],
      services: ['k3f9a'],
    });
    expect(repairs.map(({ kind }) => kind)).toEqual(expected);
  });

  const INTENT = '2030-01-01T10:00:00.000Z';
  const before = { startedAt: '2030-01-01T09:00:00.000Z' };
  const after = { startedAt: '2030-01-01T10:00:00.123Z' };

  it.each<[string, ContainerState | undefined, string[]]>([
    ['has no container', undefined, ['abandon', 'lower-shield', 'remove-services']],
    [
      'has the container that ended before',
      container({ ...before, status: 'exited' }),
      ['abandon', 'lower-shield', 'remove-services'],
    ],
    [
      'has one that was made and not started',
      container({ status: 'created' }),
      ['abandon', 'lower-shield', 'remove-services'],
    ],
    [
      'has one that somebody started before',
      container(before),
      ['abandon', 'lower-shield', 'remove-services'],
    ],
    ['has one that runs since', container(after), ['resume']],
    [
      'has one that ran since and ended',
      container({ ...after, status: 'exited', exitCode: 3 }),
      ['finish', 'lower-shield', 'remove-services'],
    ],
  ])('that was being started again and %s', (_, found, expected) => {
    const repairs = planRepairs({
      tasks: [exampleTask({ state: 'restarting', startedAt: INTENT })],
      containers: found === undefined ? [] : [found],
      raised: ['k3f9a'],
      services: ['k3f9a'],
    });
    expect(repairs.map(({ kind }) => kind)).toEqual(expected);
  });

  it('removes what belongs to no task', () => {
    expect(planRepairs({ tasks: [], containers: [container()], raised: ['z9zzz'], services: [] })).toEqual([
      { kind: 'remove-container', id: 'k3f9a', name: 'demo-run-k3f9a' },
      { kind: 'lower-shield', id: 'z9zzz' },
    ]);
  });
});

describe('what a task may become', () => {
  it('can always be deleted, and from an ending leads only to another start', () => {
    for (const state of States.options) expect(canBecome(state, 'deleting')).toBe(state !== 'deleting');
    for (const state of ['completed', 'failed', 'stopped'] as const)
      expect(States.options.filter((next) => canBecome(state, next))).toEqual(['restarting', 'deleting']);
    expect(canBecome('restarting', 'running')).toBe(false);
    expect(canBecome('creating', 'running')).toBe(false);
  });
});
