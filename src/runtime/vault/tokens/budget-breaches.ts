import { z } from 'zod';
import type { Approval, Approvals } from '../../approvals/contract.ts';
import type { Clock } from '../../core/clock.ts';
import { NotFoundError } from '../../core/errors.ts';
import type { EventLog } from '../../core/event-log.ts';
import { TaskId } from '../../core/ids.ts';
import type { Project } from '../../projects/contract.ts';
import type { BudgetExtensions } from './budget-extensions.ts';
import { describeAmount, describeUse, limitsOf } from './budget-limits.ts';
import type { TaskTotals } from './credential-use.ts';

const EVENT = 'budget.exceeded';
const APPROVAL_LIFETIME_MS = 24 * 3600_000;
/** An agent may ask a thousand times a second: what was found holds for a moment. */
const VERDICT_MS = 2_000;

/** Data of the event. */
const Breach = z.object({
  approval: z.string(),
  /** How often the budget had been extended. */
  times: z.int().min(0),
  usdLimit: z.number().nullable(),
  requestsLimit: z.number().nullable(),
});
type Breach = z.infer<typeof Breach>;

export interface UsedUp {
  readonly task: TaskId;
  readonly project: Project;
  readonly budget: NonNullable<Project['settings']['vault']['budget']>;
  readonly times: number;
  readonly totals: TaskTotals;
}

interface Verdict {
  readonly times: number;
  readonly untilMs: number;
  readonly sentence: string;
}

/**
 * What happens when a budget is used up: an event and an approval, once. The event says which approval was asked for
 * and under which limits, so that a denial still holds after a restart, and other limits are another question.
 */
export class BudgetBreaches {
  readonly #approvals: Approvals;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #extensions: BudgetExtensions;
  readonly #verdicts = new Map<TaskId, Verdict>();

  constructor(deps: {
    readonly approvals: Approvals;
    readonly events: EventLog;
    readonly clock: Clock;
    readonly extensions: BudgetExtensions;
  }) {
    this.#approvals = deps.approvals;
    this.#events = deps.events;
    this.#clock = deps.clock;
    this.#extensions = deps.extensions;
    this.#approvals.onApproved('budget', async (approval) => this.#extend(approval));
  }

  /** Why not, for the agent. */
  refuse(usedUp: UsedUp): string {
    const nowMs = this.#clock.now().getTime();
    const last = this.#verdicts.get(usedUp.task);
    if (last !== undefined && last.times === usedUp.times && nowMs < last.untilMs) return last.sentence;
    const sentence = `This task has used up its budget (${describeUse(usedUp.totals, limitsOf(usedUp.budget, usedUp.times))}). ${this.#outlook(usedUp)}`;
    this.#verdicts.set(usedUp.task, { times: usedUp.times, untilMs: nowMs + VERDICT_MS, sentence });
    return sentence;
  }

  /** The task has gone. */
  forget(task: TaskId): void {
    this.#verdicts.delete(task);
    this.#approvals.voidWhere('budget', ({ subject }) => subject === task, 'the task was deleted');
  }

  #outlook(usedUp: UsedUp): string {
    const approval = this.#earlier(usedUp) ?? this.#ask(usedUp);
    return approval.state === 'denied'
      ? 'A person was asked for more and refused: finish without it, and say what is left to do.'
      : `A person was asked for more (approval ${approval.id}): wait until it is given, then try again.`;
  }

  /** The answer to this very question, or that it is still open; undefined where it has to be asked. */
  #earlier({ task, budget, times }: UsedUp): Approval | undefined {
    const breach = this.#lastBreach(task);
    const { usd, requests } = limitsOf(budget, times);
    if (breach?.usdLimit !== (usd ?? null) || breach.requestsLimit !== (requests ?? null)) return undefined;
    const approval = this.#find(breach.approval);
    // An expired one was never answered; what is approved or void is no answer to a budget that is used up.
    return approval?.state === 'pending' || approval?.state === 'denied' ? approval : undefined;
  }

  #ask({ task, project, budget, times, totals }: UsedUp): Approval {
    const limits = limitsOf(budget, times);
    const approval = this.#approvals.request({
      kind: 'budget',
      project: project.id,
      subject: task,
      summary: `Task ${task} of ${project.id} has used up its budget (${describeUse(totals, limits)}): give it ${describeAmount(budget)} more`,
      requestedBy: `task ${task}`,
      lifetimeMs: APPROVAL_LIFETIME_MS,
    });
    const breach: Breach = {
      approval: approval.id,
      times,
      usdLimit: limits.usd ?? null,
      requestsLimit: limits.requests ?? null,
    };
    this.#events.record({
      project: project.id,
      task,
      actor: 'system',
      kind: EVENT,
      data: { ...breach, usd: totals.costUsd, requests: totals.requests },
    });
    return approval;
  }

  /** Safe to repeat, since the event says how often the budget had been extended when it was asked. */
  #extend({ id, subject }: Approval): string {
    const task = TaskId.safeParse(subject);
    if (!task.success) throw new NotFoundError('This approval names no task');
    const breach = this.#lastBreach(task.data);
    const times = breach?.approval === id ? breach.times : this.#extensions.timesOf(task.data);
    this.#extensions.extendTo(task.data, times + 1);
    this.#verdicts.delete(task.data);
    return `the task ${task.data} may use the amount of its budget again`;
  }

  #lastBreach(task: TaskId): Breach | undefined {
    const event = this.#events.forTask(task, { kinds: [EVENT], limit: 1 })[0];
    return Breach.safeParse(event?.data).data;
  }

  #find(id: string): Approval | undefined {
    try {
      return this.#approvals.get(id);
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }
}
