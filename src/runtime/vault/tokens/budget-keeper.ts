import type { Approvals } from '../../approvals/contract.ts';
import type { Clock } from '../../core/clock.ts';
import type { StateDatabase } from '../../core/database.ts';
import type { EventLog } from '../../core/event-log.ts';
import { TaskId } from '../../core/ids.ts';
import type { Logger } from '../../core/log.ts';
import type { Project } from '../../projects/contract.ts';
import type { CredentialUse } from '../contract.ts';
import type { Budgets, Usage } from '../parts.ts';
import { BudgetBreaches } from './budget-breaches.ts';
import { BudgetExtensions } from './budget-extensions.ts';
import { isUsedUp, limitsOf } from './budget-limits.ts';
import { type CredentialOfTask, CredentialUseBook } from './credential-use.ts';
import type { Prices } from './price-loader.ts';

/** No answer of a model is longer; what an upstream of somebody claims beyond it must not spoil the sums. */
const MAX_TOKENS = 1_000_000_000;

/**
 * Counts what tasks spend and says when it is enough. A budget is of a task, over all its credentials and restarts.
 * Requests are counted when they are let through, so exactly; dollars are known after an answer, so those that were
 * under way when the budget ran out still end. A request of which nothing is known is refused.
 */
export class BudgetKeeper implements Budgets, Disposable {
  readonly #projectOf: (task: TaskId) => Project | undefined;
  readonly #prices: Prices;
  readonly #uses: CredentialUseBook;
  readonly #extensions: BudgetExtensions;
  readonly #breaches: BudgetBreaches;
  readonly #unsubscribe: () => void;

  constructor(deps: {
    readonly database: StateDatabase;
    readonly clock: Clock;
    readonly projectOf: (task: TaskId) => Project | undefined;
    readonly approvals: Approvals;
    readonly events: EventLog;
    readonly prices: Prices;
    readonly log?: Logger | undefined;
  }) {
    this.#projectOf = deps.projectOf;
    this.#prices = deps.prices;
    this.#uses = new CredentialUseBook(deps);
    this.#extensions = new BudgetExtensions(deps);
    this.#breaches = new BudgetBreaches({ ...deps, extensions: this.#extensions });
    this.#unsubscribe = deps.events.subscribe(({ kind, task }) => {
      if (task !== undefined && (kind === 'task.deleted' || kind === 'task.not_created')) this.#forget(task);
    });
  }

  admit(task: TaskId, request: CredentialOfTask): string | undefined {
    const project = this.#projectOf(task);
    if (project === undefined) return 'This task has ended, so its credentials cannot be used any more.';
    const { budget } = project.settings.vault;
    if (budget !== undefined) {
      const totals = this.#uses.totalsOf(task);
      const times = this.#extensions.timesOf(task);
      if (isUsedUp(totals, limitsOf(budget, times)))
        return this.#breaches.refuse({ task, project, budget, times, totals });
    }
    this.#uses.add(task, request, { requests: 1 });
    return undefined;
  }

  spend(task: TaskId, request: CredentialOfTask, usage: Usage): number | undefined {
    const counted = countable(usage);
    const hasLimit = this.#projectOf(task)?.settings.vault.budget?.usd !== undefined;
    const costUsd = this.#prices.costOf(request.provider, counted, {
      whenUnknown: hasLimit ? 'dearest' : 'none',
    });
    this.#uses.add(task, request, {
      inputTokens: counted.inputTokens + counted.cacheReadTokens + counted.cacheWriteTokens,
      outputTokens: counted.outputTokens,
      costUsd: costUsd ?? 0,
    });
    return costUsd;
  }

  used(provider: string, set: string): CredentialUse {
    return this.#uses.used(provider, set);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#uses[Symbol.dispose]();
  }

  #forget(name: string): void {
    const task = TaskId.safeParse(name);
    if (!task.success) return;
    this.#breaches.forget(task.data);
    this.#extensions.forget(task.data);
    this.#uses.forget(task.data);
  }
}

/** What an upstream says of itself, as counts: nothing below zero, which would give back what was spent. */
const countable = (usage: Usage): Usage => ({
  model: usage.model,
  inputTokens: count(usage.inputTokens),
  outputTokens: count(usage.outputTokens),
  cacheReadTokens: count(usage.cacheReadTokens),
  cacheWriteTokens: count(usage.cacheWriteTokens),
});

const count = (tokens: number): number => (tokens > 0 ? Math.min(MAX_TOKENS, Math.trunc(tokens)) : 0);
