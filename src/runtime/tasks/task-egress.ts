import { ConflictError, InvalidInputError } from '../core/errors.ts';
import type { EventActor } from '../core/event-log.ts';
import { EgressRule } from '../shield/contract.ts';
import type { Egress, EgressReport, Task } from './contract.ts';
import { REFUSED_EVENT } from './refusal-recorder.ts';
import { isActive } from './state.ts';
import type { TaskContext } from './task-context.ts';

/** What one task may reach, and what it was refused. */
export class TaskEgress implements Egress {
  readonly #context: TaskContext;
  readonly #get: (id: string) => Task;

  constructor(context: TaskContext, deps: { readonly get: (id: string) => Task }) {
    this.#context = context;
    this.#get = deps.get;
  }

  async status(id: string, signal?: AbortSignal): Promise<EgressReport> {
    const { store, shield, refusals } = this.#context;
    const task = this.#get(id);
    const allowed = store.egressRules(task.id);
    let state: EgressReport['state'] = 'down';
    if (isActive(task)) {
      await refusals.record(task, signal);
      ({ state } = await shield.status(task.id, allowed, signal));
    }
    const refused = this.#refused(task);
    return { task: task.id, state, allowed, refused, refusedEver: refused.length };
  }

  /**
   * Loaded first: a refused address is never stored. After a crash in between, what is stored holds.
   */
  async allow(id: string, rule: unknown, actor: EventActor, signal?: AbortSignal): Promise<void> {
    const { store, shield, events, mutex } = this.#context;
    const parsed = EgressRule.safeParse(rule);
    if (!parsed.success) {
      throw new InvalidInputError(
        `That is no egress rule: ${parsed.error.issues[0]?.message ?? 'malformed'}`,
        {
          hint: 'Give an IP address, a port and "tcp" or "udp".',
        },
      );
    }
    const task = this.#get(id);
    await mutex.run(task.id, async () => {
      if (!isActive(this.#get(task.id))) throw new ConflictError(`Task ${task.id} has ended`);
      const rules = [...store.egressRules(task.id), parsed.data];
      await shield.open(task.id, rules, signal);
      store.addEgressRule(task.id, parsed.data);
      events.record({
        project: task.project,
        task: task.id,
        actor,
        kind: 'egress.allowed',
        data: { ...parsed.data },
      });
    });
  }

  #refused(task: Task): EgressReport['refused'] {
    return this.#context.events
      .forTask(task.id, { kinds: [REFUSED_EVENT], limit: 500 })
      .map(({ at, data }) => ({
        at,
        address: String(data['address']),
        port: Number(data['port']),
        protocol: String(data['protocol']),
        packets: Number(data['packets']),
      }));
  }
}
