import { describe, expect, it } from 'vitest';
import { SharedWork } from '../../../src/runtime/images/shared-work.ts';

function pending() {
  let finish: (value: string) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const runs: { progress: (message: string) => void; signal: AbortSignal }[] = [];
  const work = new SharedWork<string>((progress, signal) => {
    runs.push({ progress, signal });
    return new Promise((resolve, reject) => {
      finish = resolve;
      fail = reject;
    });
  });
  return { work, runs, finish: (value: string) => finish(value), fail: (error: Error) => fail(error) };
}

describe('work that several want', () => {
  it('runs once, and everybody gets its progress and its result', async () => {
    const { work, runs, finish } = pending();
    const said: string[] = [];
    const say = (message: string): number => said.push(message);
    const both = Promise.all([work.join(say), work.join(say)]);
    runs[0]?.progress('half');
    finish('done');
    expect(await both).toEqual(['done', 'done']);
    expect(runs).toHaveLength(1);
    expect(said).toEqual(['half', 'half']);
  });

  it('goes on for the others when one leaves, and is cancelled when the last one does', async () => {
    const { work, runs } = pending();
    const [first, second] = [new AbortController(), new AbortController()];
    const results = [first, second].map((controller) => work.join(() => undefined, controller.signal));
    const outcomes = Promise.allSettled(results);
    first.abort();
    await expect(results[0]).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(runs[0]?.signal.aborted).toBe(false);
    second.abort();
    await outcomes;
    expect(runs[0]?.signal.aborted).toBe(true);
  });

  it('starts anew after a failure, which all who waited see', async () => {
    const { work, runs, fail, finish } = pending();
    const both = Promise.allSettled([work.join(() => undefined), work.join(() => undefined)]);
    fail(new Error('broken'));
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const again = work.join(() => undefined);
    finish('fine');
    expect(await again).toBe('fine');
    expect(runs).toHaveLength(2);
  });

  it('does not begin for a caller who has left already', async () => {
    const { work, runs } = pending();
    await expect(work.join(() => undefined, AbortSignal.abort())).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(runs).toEqual([]);
  });
});
