import { describe, expect, it } from 'vitest';
import type { ContainerState } from '../../../src/runtime/engine/contract.ts';
import type { TaskState } from '../../../src/runtime/tasks/contract.ts';
import { TaskState as States } from '../../../src/runtime/tasks/contract.ts';
import { planRepairs } from '../../../src/runtime/tasks/reconcile-plan.ts';
import { canBecome, endingOf } from '../../../src/runtime/tasks/state.ts';
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

  it('removes what belongs to no task', () => {
    expect(planRepairs({ tasks: [], containers: [container()], raised: ['z9zzz'], services: [] })).toEqual([
      { kind: 'remove-container', id: 'k3f9a', name: 'demo-run-k3f9a' },
      { kind: 'lower-shield', id: 'z9zzz' },
    ]);
  });
});

describe('how a task ended', () => {
  it.each<[TaskState, ContainerState | undefined, object]>([
    ['running', container({ status: 'exited' }), { state: 'completed', exitCode: 0, failure: undefined }],
    ['running', exited, { state: 'failed', exitCode: 3, failure: 'the agent ended with exit code 3' }],
    [
      'running',
      container({ exitCode: 124 }),
      { state: 'failed', failure: 'it did not finish within its time limit' },
    ],
    [
      'running',
      container({ exitCode: 137, wasOutOfMemory: true }),
      { failure: 'it used more memory than its limit and was killed' },
    ],
    ['running', container({ exitCode: 137 }), { failure: 'it was killed' }],
    ['starting', container({ exitCode: 70 }), { failure: 'its workspace could not be cloned from the gate' }],
    ['stopping', container({ exitCode: 143 }), { state: 'stopped', exitCode: 143, failure: undefined }],
    [
      'running',
      undefined,
      { state: 'failed', exitCode: undefined, failure: 'its container was removed from outside' },
    ],
  ])('%s', (state, found, expected) => {
    expect(endingOf({ state, mode: 'headless' }, found)).toMatchObject(expected);
  });

  it('of a debugging shell is that the person left it, whatever its last command gave', () => {
    const shell = { state: 'running', mode: 'dev' } as const;
    expect(endingOf(shell, container({ exitCode: 130 }))).toEqual({
      state: 'completed',
      exitCode: 130,
      failure: undefined,
    });
    expect(endingOf(shell, container({ exitCode: 137, wasOutOfMemory: true })).state).toBe('failed');
    expect(endingOf({ ...shell, state: 'starting' }, container({ exitCode: 70 }))).toMatchObject({
      state: 'failed',
      failure: 'its workspace could not be cloned from the gate',
    });
    expect(endingOf({ ...shell, state: 'stopping' }, container({ exitCode: 143 })).state).toBe('stopped');
  });

  it('can always be deleted, and from an ending leads nowhere else', () => {
    for (const state of States.options) expect(canBecome(state, 'deleting')).toBe(state !== 'deleting');
    expect(canBecome('completed', 'running')).toBe(false);
    expect(canBecome('creating', 'running')).toBe(false);
  });
});
