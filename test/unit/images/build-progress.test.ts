import { expect, it } from 'vitest';
import { followBuild } from '../../../src/runtime/images/build-progress.ts';

it('shows every step, a sign of life now and then, and nothing else', () => {
  let nowMs = 0;
  const shown: string[] = [];
  const line = followBuild((message) => shown.push(message), { monotonicMs: () => nowMs, intervalMs: 2000 });
  line('STEP 1/2: FROM x');
  line(`STEP 2/2: RUN a    && ${'b'.repeat(200)}`);
  for (const text of ['--> 8cec509f41f', 'Unpacking one ...', 'update-alternatives: warning: no man'])
    line(text);
  nowMs = 2500;
  for (const text of ['update-alternatives: warning: no man', 'Setting up two ...', 'Setting up three ...'])
    line(text);
  expect(shown).toEqual(['STEP 1/2: FROM x', `STEP 2/2: RUN a && ${'b'.repeat(81)}…`, 'Setting up two ...']);
});
