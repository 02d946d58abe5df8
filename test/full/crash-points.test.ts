import { afterAll, beforeAll, describe, it } from 'vitest';
import { CHECKPOINTS } from '../../src/runtime/core/checkpoint.ts';
import { expectAsItWas, expectNothingMade, expectRunKept } from '../support/cut-off.ts';
import { Shipped } from '../support/shipped.ts';

let shipped: Shipped;
beforeAll(async () => {
  shipped = await Shipped.make();
});
afterAll(() => shipped[Symbol.asyncDispose]());

describe('kill -9 of the daemon while it creates a task', () => {
  const uncommitted = CHECKPOINTS.filter((name) => name.startsWith('create:') && name !== 'create:committed');

  it.each(uncommitted)('at %s leaves nothing behind after the next start (L1)', (checkpoint) =>
    expectNothingMade(shipped, checkpoint),
  );
});

describe('kill -9 of the daemon while it starts a task again', () => {
  const begun: readonly string[] = ['restart:container-started', 'restart:committed'];
  const all = CHECKPOINTS.filter((name) => name.startsWith('restart:'));

  it.each(all.filter((name) => !begun.includes(name)))(
    'at %s leaves it as it was, with nothing open, and says that its run was cut off (L1)',
    (checkpoint) => expectAsItWas(shipped, checkpoint),
  );

  it.each(begun.flatMap((name) => [[name, 'sleep 3'] as const, [name, 'say quick'] as const]))(
    'at %s (%s) keeps the run: its exit code is recorded',
    (checkpoint, step) => expectRunKept(shipped, checkpoint, step),
  );
});
