import { describe, expect, it } from 'vitest';
import { HostError } from '../../../src/runtime/core/errors.ts';
import type { SetupStep } from '../../../src/runtime/setup/contract.ts';
import { SetupService } from '../../../src/runtime/setup/setup-service.ts';

interface FakeStep extends SetupStep {
  readonly applied: () => number;
}

/** A step of a host that is a variable. */
function fakeStep(
  id: string,
  options: { readonly isDone?: boolean; readonly failure?: Error } = {},
): FakeStep {
  let isDone = options.isDone ?? false;
  let count = 0;
  return {
    id,
    title: `Doing ${id}`,
    check: async () => ({ check: id, level: isDone ? 'ok' : 'fail', message: isDone ? 'fine' : 'missing' }),
    apply: async () => {
      count += 1;
      if (options.failure !== undefined) throw options.failure;
      isDone = true;
    },
    applied: () => count,
  };
}

const levels = (findings: readonly { readonly check: string; readonly level: string }[]): string =>
  findings.map(({ check, level }) => `${check}:${level}`).join(' ');

describe('set-up', () => {
  it('does what is missing, says so, and nothing the second time', async () => {
    const [done, open] = [fakeStep('a', { isDone: true }), fakeStep('b')];
    const setup = new SetupService({ stages: [[done], [open]] });
    const said: string[] = [];
    const run = () => setup.run({ check: false, progress: (message) => said.push(message) });
    expect(levels(await run())).toBe('a:ok b:ok');
    expect(levels(await run())).toBe('a:ok b:ok');
    expect([done.applied(), open.applied(), said]).toEqual([0, 1, ['Doing b']]);
  });

  it('changes nothing in a check, and looks at a later stage only when the earlier ones are fine', async () => {
    const steps = [fakeStep('a'), fakeStep('b'), fakeStep('c')];
    const setup = new SetupService({ stages: [steps.slice(0, 2), steps.slice(2)] });
    const findings = await setup.run({ check: true, progress: () => undefined });
    expect(levels(findings)).toBe('a:fail b:fail c:fail');
    expect(findings[2]?.message).toContain('not looked at');
    expect(steps.map((step) => step.applied())).toEqual([0, 0, 0]);
  });

  it('goes on past a step this user cannot do, so that one run names all of them', async () => {
    const blocked = fakeStep('a', { failure: new HostError('no rights', { hint: 'Ask an administrator.' }) });
    const setup = new SetupService({ stages: [[blocked, fakeStep('b')], [fakeStep('c')]] });
    const findings = await setup.run({ check: false, progress: () => undefined });
    expect(levels(findings)).toBe('a:fail b:ok c:fail');
    expect(findings[0]).toMatchObject({ message: 'no rights', fix: 'Ask an administrator.' });
  });

  it('does not hide a mistake of its own as a finding', async () => {
    const setup = new SetupService({ stages: [[fakeStep('a', { failure: new TypeError('bug') })]] });
    await expect(setup.run({ check: false, progress: () => undefined })).rejects.toThrow('bug');
  });

  it('stops when it is cancelled', async () => {
    const controller = new AbortController();
    const slow: SetupStep = {
      ...fakeStep('a'),
      apply: async () => {
        controller.abort();
        throw new HostError('interrupted');
      },
    };
    const after = fakeStep('b');
    const setup = new SetupService({ stages: [[slow, after]] });
    await expect(setup.run({ check: false, progress: () => undefined }, controller.signal)).rejects.toThrow();
    expect(after.applied()).toBe(0);
  });
});
