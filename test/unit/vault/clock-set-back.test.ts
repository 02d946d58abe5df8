import { expect, it } from 'vitest';
import type { Clock } from '../../../src/runtime/core/clock.ts';
import { Pace } from '../../../src/runtime/vault/ssh/pace.ts';
import { VaultNeed } from '../../../src/runtime/vault/vault-need.ts';
import { EventRecorder } from '../../support/event-recorder.ts';

const HOUR_MS = 3_600_000;
let nowMs = Date.UTC(2026, 0, 1);
const clock: Clock = { now: () => new Date(nowMs), sleep: async () => undefined };

it('a clock that is set back does not keep a task from its SSH agent until it has caught up', () => {
  const pace = new Pace({ clock, most: 2, stretchMs: 60_000 });
  expect([pace.take(), pace.take(), pace.take()]).toEqual([true, true, false]);
  nowMs -= HOUR_MS;
  expect([pace.take(), pace.take(), pace.take()]).toEqual([true, true, false]);
});

it('a clock that is set back does not keep from people that the vault is needed', () => {
  const events = new EventRecorder();
  const need = new VaultNeed({ events, clock });
  const task = { id: 'k3f9a', project: { id: 'demo' } };
  need.tell(task);
  need.tell(task);
  nowMs -= HOUR_MS;
  need.tell(task);
  need.tell(task);
  expect(events.events.map(({ kind }) => kind)).toEqual(['vault.needed', 'vault.needed']);
});
