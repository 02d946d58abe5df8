import { describe, expect, it } from 'vitest';
import { KeyedMutex, SingleFlight } from '../../../src/runtime/core/keyed-mutex.ts';
import { Scope } from '../../../src/runtime/core/scope.ts';

const tick = () => new Promise((resolve) => setImmediate(resolve));

describe('KeyedMutex', () => {
  it('runs one operation at a time per key, in order, past failures', async () => {
    const mutex = new KeyedMutex();
    const log: string[] = [];
    const step = (name: string, fails = false) =>
      mutex.run('k', async () => {
        log.push(`${name} in`);
        await tick();
        log.push(`${name} out`);
        if (fails) throw new Error(name);
      });
    const results = await Promise.allSettled([step('a', true), step('b'), step('c')]);
    expect(log).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  });

  it('lets different keys run together', async () => {
    const mutex = new KeyedMutex();
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const waiting = mutex.run('a', () => gate);
    await mutex.run('b', async () => open());
    await waiting;
  });
});

describe('SingleFlight', () => {
  it('shares one flight, and starts a new one afterwards', async () => {
    const flights = new SingleFlight<number>();
    let count = 0;
    const fly = () =>
      flights.run('k', async () => {
        count += 1;
        await tick();
        return count;
      });
    expect(await Promise.all([fly(), fly(), fly()])).toEqual([1, 1, 1]);
    expect(await fly()).toBe(2);
  });
});

describe('Scope', () => {
  it('undoes in reverse, goes on past a failure, and once only', async () => {
    const log: string[] = [];
    const scope = new Scope();
    scope.defer(() => void log.push('first'));
    scope.defer(() => {
      throw new Error('second fails');
    });
    scope.defer(() => void log.push('third'));
    await expect(scope.dispose()).rejects.toThrow(AggregateError);
    await scope.dispose();
    expect(log).toEqual(['third', 'first']);
  });
});
