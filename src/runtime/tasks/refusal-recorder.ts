import type { EventLog } from '../core/event-log.ts';
import type { Shield } from '../shield/contract.ts';
import type { Task } from './contract.ts';
import type { TaskStore } from './task-store.ts';

export const REFUSED_EVENT = 'egress.refused';
const FLOOD_EVENT = 'egress.refusals_not_listed';

/** Distinct destinations recorded per task; a flood beyond them becomes one event. */
const MAX_RECORDED = 500;

/** Turns what the kernel counted as refused into events: one per destination and task, bounded. */
export class RefusalRecorder {
  readonly #deps: { readonly shield: Shield; readonly store: TaskStore; readonly events: EventLog };
  readonly #known = new Map<string, Set<string>>();

  constructor(deps: { readonly shield: Shield; readonly store: TaskStore; readonly events: EventLog }) {
    this.#deps = deps;
  }

  async record(task: Task, signal?: AbortSignal): Promise<void> {
    const status = await this.#deps.shield.status(task.id, this.#deps.store.egressRules(task.id), signal);
    const known = this.#knownOf(task);
    for (const { address, port, protocol, packets } of status.refused) {
      const key = `${address} ${protocol} ${port}`;
      if (known.has(key)) continue;
      if (known.size >= MAX_RECORDED) {
        if (!known.has(FLOOD_EVENT)) {
          known.add(FLOOD_EVENT);
          this.#deps.events.record({
            project: task.project,
            task: task.id,
            actor: 'agent',
            kind: FLOOD_EVENT,
            data: { after: MAX_RECORDED },
          });
        }
        return;
      }
      known.add(key);
      this.#deps.events.record({
        project: task.project,
        task: task.id,
        actor: 'agent',
        kind: REFUSED_EVENT,
        data: { address, port, protocol, packets },
      });
    }
  }

  forget(task: string): void {
    this.#known.delete(task);
  }

  #knownOf(task: Task): Set<string> {
    const existing = this.#known.get(task.id);
    if (existing !== undefined) return existing;
    const recorded = this.#deps.events.forTask(task.id, {
      kinds: [REFUSED_EVENT, FLOOD_EVENT],
      limit: MAX_RECORDED + 1,
    });
    const known = new Set(
      recorded.map(({ kind, data }) =>
        kind === FLOOD_EVENT ? FLOOD_EVENT : `${data['address']} ${data['protocol']} ${data['port']}`,
      ),
    );
    this.#known.set(task.id, known);
    return known;
  }
}
