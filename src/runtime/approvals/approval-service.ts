import { randomInt } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { ConflictError, HostError, NotFoundError } from '../core/errors.ts';
import type { EventActor, EventLog } from '../core/event-log.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { ApprovalStore, Settlement } from './approval-store.ts';
import type { Approval, ApprovalEffect, ApprovalKind, ApprovalRequest, Approvals } from './contract.ts';

/** No letters or digits that read like others. */
const ID_ALPHABET = '23456789abcdefghjkmnpqrstvwxyz';
const ID_LENGTH = 8;

/**
 * Parked requests and their effects. INVARIANT: an effect runs only for a request that is pending and not
 * expired, and by one caller at a time. The request is settled after its effect: a crash between the two
 * leaves it pending, so effects must be safe to repeat.
 */
export class ApprovalService implements Approvals {
  readonly #store: ApprovalStore;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #effects = new Map<ApprovalKind, ApprovalEffect>();
  /** Requests whose effect runs right now. */
  readonly #running = new Set<string>();

  constructor(deps: { readonly store: ApprovalStore; readonly events: EventLog; readonly clock: Clock }) {
    this.#store = deps.store;
    this.#events = deps.events;
    this.#clock = deps.clock;
  }

  onApproved(kind: ApprovalKind, effect: ApprovalEffect): void {
    if (this.#effects.has(kind)) throw new Error(`two effects for approvals of kind ${kind}`);
    this.#effects.set(kind, effect);
  }

  request(request: ApprovalRequest): Approval {
    this.#expire();
    return this.#store.atomically(() => {
      const pending = this.#store.findPending(request);
      if (pending !== undefined) return pending;
      const now = this.#clock.now();
      const approval: Approval = {
        id: this.#newId(),
        kind: request.kind,
        project: request.project,
        subject: request.subject,
        summary: cleanLine(request.summary, 500),
        state: 'pending',
        requestedBy: cleanLine(request.requestedBy, 100),
        createdAt: now.toISOString(),
        expiresAt: new Date(now.getTime() + request.lifetimeMs).toISOString(),
        settledAt: undefined,
        settledBy: undefined,
        outcome: undefined,
      };
      this.#store.insert(approval);
      this.#record(approval, 'approval.requested', 'client');
      return approval;
    });
  }

  list(options: { readonly pendingOnly?: boolean } = {}): readonly Approval[] {
    this.#expire();
    return options.pendingOnly === true ? this.#store.pending() : this.#store.recent();
  }

  get(id: string): Approval {
    this.#expire();
    const approval = this.#store.find(id.trim().toLowerCase());
    if (approval === undefined) {
      throw new NotFoundError(`No approval "${cleanLine(id, 40)}"`, {
        hint: '"terok-mcp approvals" lists those that wait.',
      });
    }
    return approval;
  }

  async approve(id: string, by: string, signal?: AbortSignal): Promise<Approval> {
    const approval = this.#takePending(id);
    const effect = this.#effects.get(approval.kind);
    if (effect === undefined)
      throw new HostError(`This release cannot carry out approvals of kind "${approval.kind}"`);
    this.#running.add(approval.id);
    try {
      const outcome = await effect(approval, signal);
      return this.#settle(approval, { state: 'approved', by, outcome }, 'person');
    } catch (error) {
      if (error instanceof ConflictError || error instanceof NotFoundError) {
        this.#settle(approval, { state: 'void', by, outcome: error.message }, 'system');
      }
      throw error;
    } finally {
      this.#running.delete(approval.id);
    }
  }

  deny(id: string, by: string): Approval {
    return this.#settle(this.#takePending(id), { state: 'denied', by, outcome: undefined }, 'person');
  }

  voidWhere(kind: ApprovalKind, isVoid: (approval: Approval) => boolean, outcome: string): void {
    this.#expire();
    for (const approval of this.#store.pending()) {
      if (approval.kind !== kind || this.#running.has(approval.id) || !isVoid(approval)) continue;
      this.#settle(approval, { state: 'void', by: undefined, outcome }, 'system');
    }
  }

  #takePending(id: string): Approval {
    const approval = this.get(id);
    if (approval.state !== 'pending') {
      const how = { approved: 'was approved', denied: 'was denied', expired: 'has expired', void: 'is void' }[
        approval.state
      ];
      throw new ConflictError(
        `The request ${approval.id} ${how}${approval.settledAt === undefined ? '' : ` (${approval.settledAt})`}`,
        {
          hint: 'Each request is settled once. If it is still wanted, have it requested again.',
          ...(approval.outcome === undefined ? {} : { details: cleanLine(approval.outcome, 500) }),
        },
      );
    }
    if (this.#running.has(approval.id)) {
      throw new ConflictError(`The request ${approval.id} is being carried out right now`, {
        hint: 'See "terok-mcp approvals" for what came of it.',
      });
    }
    return approval;
  }

  /** What runs when its time is up may finish. */
  #expire(): void {
    const now = this.#clock.now().toISOString();
    for (const approval of this.#store.pending()) {
      if (approval.expiresAt > now || this.#running.has(approval.id)) continue;
      this.#settle(approval, { state: 'expired', by: undefined, outcome: undefined }, 'system');
    }
  }

  #settle(approval: Approval, settlement: Omit<Settlement, 'at'>, actor: EventActor): Approval {
    const at = this.#clock.now().toISOString();
    const by = settlement.by === undefined ? undefined : cleanLine(settlement.by, 100);
    const outcome = settlement.outcome === undefined ? undefined : cleanLine(settlement.outcome, 500);
    return this.#store.atomically(() => {
      if (!this.#store.settle(approval.id, { ...settlement, by, outcome, at })) {
        throw new ConflictError(`The request ${approval.id} was settled in the meantime`);
      }
      const settled: Approval = {
        ...approval,
        state: settlement.state,
        settledAt: at,
        settledBy: by,
        outcome,
      };
      this.#record(settled, `approval.${settled.state}`, actor);
      return settled;
    });
  }

  #record(approval: Approval, kind: string, actor: EventActor): void {
    const { id, summary, settledBy, outcome } = approval;
    this.#events.record({
      project: approval.project,
      actor,
      kind,
      data: {
        approval: id,
        kind: approval.kind,
        summary,
        ...(settledBy === undefined ? {} : { by: settledBy }),
        ...(outcome === undefined ? {} : { outcome }),
      },
    });
  }

  #newId(): string {
    for (;;) {
      const id = Array.from({ length: ID_LENGTH }, () =>
        ID_ALPHABET.charAt(randomInt(ID_ALPHABET.length)),
      ).join('');
      if (this.#store.find(id) === undefined) return id;
    }
  }
}
