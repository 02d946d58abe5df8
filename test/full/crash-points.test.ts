import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { CHECKPOINTS } from '../../src/runtime/core/checkpoint.ts';
import { expectAsItWas, expectNothingMade, expectRunKept } from '../support/cut-off.ts';
import { Shipped } from '../support/shipped.ts';

let shipped: Shipped;
beforeAll(async () => {
  shipped = await Shipped.make();
  await keepKey(shipped);
});
afterAll(() => shipped[Symbol.asyncDispose]());

/** So that there are tokens that could stay behind. */
async function keepKey(shipped: Shipped): Promise<void> {
  const directory = path.join(shipped.host.paths.config, 'agents');
  await mkdir(directory, { recursive: true });
  await writeFile(
    path.join(directory, 'scripted.yaml'),
    `auth: { modes: [api_key] }
route: { prefix: scripted, upstream: "https://localhost:1", auth: { api_key: { header: X-Key } } }
phantom: { api_key: { env: { SCRIPTED_API_KEY: "{token}" } } }
`,
  );
  await shipped.run(['auth', 'scripted', '--api-key'], {}, 'a-key-of-nobody\n');
}

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
