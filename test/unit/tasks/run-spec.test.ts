import { describe, expect, it } from 'vitest';
import { LABEL } from '../../../src/runtime/engine/contract.ts';
import { chooseContainer } from '../../../src/runtime/tasks/container-choice.ts';
import { TaskMode } from '../../../src/runtime/tasks/contract.ts';
import { runFile } from '../../../src/runtime/tasks/run-spec.ts';
import { exampleSpec } from '../../support/example-spec.ts';

const label = (spec: ReturnType<typeof exampleSpec>) => spec.labels[LABEL.spec];

describe('the container of a task', () => {
  it.each(TaskMode.options)('has the same command for every run (%s)', (mode) => {
    expect(exampleSpec({ mode }).command).toEqual(['terok-init', mode]);
  });

  it('has a lifetime where what it runs has a limit, and a terminal where people come', () => {
    const of = (mode: TaskMode) => [exampleSpec({ mode }).lifetimeS, exampleSpec({ mode }).terminal];
    expect(Object.fromEntries(TaskMode.options.map((mode) => [mode, of(mode)]))).toEqual({
      headless: [3600, false],
      tool: [3600, false],
      web: [undefined, false],
      interactive: [undefined, true],
      dev: [undefined, true],
    });
  });

  it('is killed soon after its limit, and yet stays the same where a follow-up has a little more time', () => {
    const lifetime = (timeoutS: number) => exampleSpec({ timeoutS }).lifetimeS;
    expect([1, 1800, 3480, 3481, 7080, 7081, 86_400].map(lifetime)).toEqual([
      3600, 3600, 3600, 7200, 7200, 14_400, 115_200,
    ]);
    expect(lifetime(0)).toBeUndefined();
    expect(label(exampleSpec({ timeoutS: 2400 }))).toBe(label(exampleSpec()));
    expect(label(exampleSpec({ timeoutS: 7200 }))).not.toBe(label(exampleSpec()));
  });

  it("has the agent's conversations as directories of the task, and nothing of the host's", () => {
    expect(exampleSpec().mounts).toContainEqual({
      hostPath: '/state/core/tasks/demo/k3f9a/agent-home/.scripted',
      containerPath: '/home/dev/.scripted',
      readOnly: false,
    });
    const writable = exampleSpec().mounts.filter(({ readOnly }) => !readOnly);
    for (const { hostPath } of writable) expect(hostPath).toMatch(/^\/state\/core\/tasks\/demo\/k3f9a\//);
  });

  it('carries a fingerprint of everything that it is made with', () => {
    expect(label(exampleSpec())).toMatch(/^[0-9a-f]{64}$/);
    expect(label(exampleSpec())).toBe(label(exampleSpec()));
    const others = [
      exampleSpec({ restricted: true }),
      exampleSpec({ limits: true }),
      exampleSpec({ relay: true }),
    ];
    expect(new Set([exampleSpec(), ...others].map(label)).size).toBe(4);
  });
});

describe('the container of a task with credentials', () => {
  it('is told that they are there, and is the same at each start, whatever its tokens are', () => {
    const [first, second] = [exampleSpec({ credentials: true }), exampleSpec({ credentials: true })];
    expect(first.environment).toMatchObject({ TEROK_VAULT: '1' });
    expect(label(first)).toBe(label(second));
    expect(JSON.stringify(first)).not.toContain('terokp');
    expect(exampleSpec().environment).not.toHaveProperty('TEROK_VAULT');
  });

  it('finds an SSH agent where there is one, and no variable of it elsewhere', () => {
    expect(exampleSpec({ sshAgent: true }).environment['SSH_AUTH_SOCK']).toBe('/run/terok/ssh-agent.sock');
    expect(exampleSpec({ credentials: true }).environment).not.toHaveProperty('SSH_AUTH_SOCK');
  });
});

describe('a task that starts again', () => {
  const spec = exampleSpec();
  const container = {
    id: 'abc',
    name: spec.name,
    labels: spec.labels,
    status: 'exited',
    exitCode: 0,
    wasOutOfMemory: false,
    pid: undefined,
    startedAt: undefined,
    finishedAt: undefined,
  } as const;
  const choose = (found: Parameters<typeof chooseContainer>[0], isRecreated = false) =>
    chooseContainer(found, spec, { isRecreated });

  it('has the container it had, unless that is gone, was made differently, or is not wanted', () => {
    expect(choose(container)).toEqual({ kind: 'start' });
    expect(choose(container, true)).toEqual({ kind: 'make-anew', why: undefined });
    expect(choose(undefined)).toMatchObject({ kind: 'make-anew', why: expect.stringContaining('gone') });
    expect(choose({ ...container, labels: { ...spec.labels, [LABEL.spec]: 'other' } })).toMatchObject({
      why: expect.stringContaining('changed'),
    });
    // Containers of the release before carry no fingerprint.
    const { [LABEL.spec]: _, ...labels } = spec.labels;
    expect(choose({ ...container, labels })).toMatchObject({ why: expect.stringContaining('changed') });
  });
});

describe('what terok-init is to run', () => {
  it('is fields that each end with a NUL, so that no argument needs quotes', () => {
    const args = ['run', '', '-x', '$(touch /x)', '"quoted" \'words\'', 'two\nlines'];
    expect(runFile(60, args).split('\0')).toEqual(['60', ...args, '']);
  });

  it('is refused when an argument holds a NUL', () => {
    expect(() => runFile(0, ['a\0b'])).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });
});
