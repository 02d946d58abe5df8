import type { Clock } from '../core/clock.ts';
import type { EventLog } from '../core/event-log.ts';

const EVERY_MS = 60_000;

/** Tells people that a task waits for the vault to be opened: once a minute at most, however often it asks. */
export class VaultNeed {
  readonly #events: Pick<EventLog, 'record'>;
  readonly #clock: Clock;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(deps: { readonly events: Pick<EventLog, 'record'>; readonly clock: Clock }) {
    this.#events = deps.events;
    this.#clock = deps.clock;
  }

  tell({ id, project }: { readonly id: string; readonly project: { readonly id: string } }): void {
    const nowMs = this.#clock.now().getTime();
    if (this.#lastMs <= nowMs && nowMs - this.#lastMs < EVERY_MS) return;
    this.#lastMs = nowMs;
    this.#events.record({
      project: project.id,
      task: id,
      actor: 'system',
      kind: 'vault.needed',
      data: { advice: 'Run "terok-mcp vault unlock" on this machine.' },
    });
  }
}
