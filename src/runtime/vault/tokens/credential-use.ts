import type { Clock } from '../../core/clock.ts';
import type { StateDatabase } from '../../core/database.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Logger } from '../../core/log.ts';
import type { CredentialUse } from '../contract.ts';

/** What is to be added to the use of one credential by one task. */
export interface UseDelta {
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costUsd: number;
}

export interface CredentialOfTask {
  readonly provider: string;
  readonly set: string;
}

export interface TaskTotals {
  readonly requests: number;
  readonly costUsd: number;
}

interface Unwritten extends UseDelta, CredentialOfTask {
  readonly task: TaskId;
  readonly lastUsedAt: string;
}

interface UseRow {
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
  last_used_at: string | null;
}

/** What a sudden end of this process may lose. */
const WRITE_DELAY_MS = 100;

const NO_USE: UseDelta = { requests: 0, inputTokens: 0, outputTokens: 0, costUsd: 0 };

/**
 * What tasks used their credentials for. Counted in memory, exactly and at once; written together, a tenth of a second
 * later and without waiting for the disk: a killed process loses that tenth, a power cut what the system had not
 * written yet.
 */
export class CredentialUseBook implements Disposable {
  readonly #database: StateDatabase;
  readonly #clock: Clock;
  readonly #log: Logger | undefined;
  readonly #totals = new Map<TaskId, TaskTotals>();
  #unwritten = new Map<string, Unwritten>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: {
    readonly database: StateDatabase;
    readonly clock: Clock;
    readonly log?: Logger | undefined;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  totalsOf(task: TaskId): TaskTotals {
    const known = this.#totals.get(task);
    if (known !== undefined) return known;
    const totals = this.#database
      .prepare<unknown[], TaskTotals>(
        'SELECT total(requests) AS requests, total(cost_usd) AS costUsd FROM credential_use WHERE task = ?',
      )
      .get(task) ?? { requests: 0, costUsd: 0 };
    this.#totals.set(task, totals);
    return totals;
  }

  add(task: TaskId, { provider, set }: CredentialOfTask, delta: Partial<UseDelta>): void {
    const { requests, costUsd } = this.totalsOf(task);
    const sum = added(NO_USE, delta);
    this.#totals.set(task, { requests: requests + sum.requests, costUsd: costUsd + sum.costUsd });
    const key = JSON.stringify([task, provider, set]);
    this.#unwritten.set(key, {
      ...added(this.#unwritten.get(key) ?? NO_USE, sum),
      task,
      provider,
      set,
      lastUsedAt: this.#clock.now().toISOString(),
    });
    this.#schedule();
  }

  /** By all tasks. */
  used(provider: string, set: string): CredentialUse {
    this.flush();
    const row = this.#database
      .prepare<unknown[], UseRow>(
        `SELECT total(requests) AS requests, total(input_tokens) AS input_tokens, total(output_tokens) AS output_tokens,
                total(cost_usd) AS cost_usd, max(last_used_at) AS last_used_at
         FROM credential_use WHERE provider = ? AND credential_set = ?`,
      )
      .get(provider, set);
    return {
      requests: row?.requests ?? 0,
      inputTokens: row?.input_tokens ?? 0,
      outputTokens: row?.output_tokens ?? 0,
      costUsd: row?.cost_usd ?? 0,
      lastUsedAt: row?.last_used_at ?? undefined,
    };
  }

  /** The task has gone; what it used is still counted. */
  forget(task: TaskId): void {
    this.#totals.delete(task);
  }

  /** Throws when the database cannot be written; nothing is lost by that. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unwritten.size === 0) return;
    const upsert = this.#database.prepare(
      `INSERT INTO credential_use
         (task, provider, credential_set, requests, input_tokens, output_tokens, cost_usd, last_used_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (task, provider, credential_set) DO UPDATE SET
         requests = requests + excluded.requests,
         input_tokens = input_tokens + excluded.input_tokens,
         output_tokens = output_tokens + excluded.output_tokens,
         cost_usd = cost_usd + excluded.cost_usd,
         last_used_at = max(coalesce(last_used_at, ''), excluded.last_used_at)`,
    );
    const write = this.#database.transaction(() => {
      for (const { task, provider, set, ...use } of this.#unwritten.values()) {
        const { requests, inputTokens, outputTokens, costUsd, lastUsedAt } = use;
        upsert.run(task, provider, set, requests, inputTokens, outputTokens, costUsd, lastUsedAt);
      }
    });
    this.#withoutSync(() => write.immediate());
    this.#unwritten = new Map();
  }

  [Symbol.dispose](): void {
    this.flush();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      try {
        this.flush();
      } catch (error) {
        // A full disk: kept in memory, and tried again with the next request or at the end.
        this.#log?.warn({ error: String(error) }, 'the use of credentials could not be written');
      }
    }, WRITE_DELAY_MS).unref();
  }

  /** Many small sums are not worth a wait for the disk each, during which no request would go on. */
  #withoutSync(write: () => void): void {
    this.#database.pragma('synchronous = NORMAL');
    try {
      write();
    } finally {
      this.#database.pragma('synchronous = FULL');
    }
  }
}

const added = (before: UseDelta, delta: Partial<UseDelta>): UseDelta => ({
  requests: before.requests + (delta.requests ?? 0),
  inputTokens: before.inputTokens + (delta.inputTokens ?? 0),
  outputTokens: before.outputTokens + (delta.outputTokens ?? 0),
  costUsd: before.costUsd + (delta.costUsd ?? 0),
});
