import { cleanLine } from '../../core/untrusted-text.ts';
import type { AuditRecord } from '../contract.ts';
import type { Usage } from '../parts.ts';
import type { TaskGuard } from './task-guard.ts';

/** What the audit will say of one request. */
export class ExchangeRecord {
  readonly #guard: TaskGuard;
  readonly #channel: 'http' | 'websocket';
  readonly #method: string;
  readonly #target: string;
  readonly #began: Date;
  #owner: { readonly provider: string; readonly set: string } | undefined;
  #spent:
    | { inputTokens: number; outputTokens: number; costUsd: number | undefined; model: string | undefined }
    | undefined;
  #hasEstimate = false;
  #isWritten = false;
  status: number | undefined;
  outcome = 'ok';
  bytesSent = 0;
  bytesReceived = 0;

  constructor(
    guard: TaskGuard,
    request: { readonly channel: 'http' | 'websocket'; readonly method: string; readonly target: string },
  ) {
    this.#guard = guard;
    this.#channel = request.channel;
    this.#method = cleanLine(request.method, 32);
    this.#target = cleanLine(request.target.replace(/[?#].*$/s, ''), 500);
    this.#began = guard.deps.clock.now();
  }

  belongsTo(owner: { readonly provider: string; readonly set: string }): void {
    this.#owner = owner;
  }

  /** Told as soon as it is known, so that a budget ends while a long connection lasts. */
  spend(usage: Usage, options: { readonly isEstimate: boolean } = { isEstimate: false }): void {
    if (this.#owner === undefined) return;
    this.#hasEstimate ||= options.isEstimate;
    const cost = this.#guard.deps.budgets.spend(this.#guard.task, this.#owner, usage);
    const before = this.#spent ?? { inputTokens: 0, outputTokens: 0, costUsd: undefined, model: undefined };
    this.#spent = {
      inputTokens: before.inputTokens + usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens,
      outputTokens: before.outputTokens + usage.outputTokens,
      costUsd: cost === undefined ? before.costUsd : (before.costUsd ?? 0) + cost,
      model: usage.model ?? before.model,
    };
  }

  /** Writes it, once. */
  finish(): void {
    if (this.#isWritten) return;
    this.#isWritten = true;
    this.#guard.deps.audit.append(this.#record());
  }

  #record(): AuditRecord {
    const spent = this.#spent;
    return {
      at: this.#began.toISOString(),
      task: this.#guard.task,
      project: this.#guard.project,
      channel: this.#channel,
      ...(this.#owner === undefined ? {} : { provider: this.#owner.provider, set: this.#owner.set }),
      method: this.#method,
      target: this.#target,
      ...(this.status === undefined ? {} : { status: this.status }),
      outcome: this.outcome,
      durationMs: Math.max(0, this.#guard.deps.clock.now().getTime() - this.#began.getTime()),
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      ...(spent === undefined ? {} : { inputTokens: spent.inputTokens, outputTokens: spent.outputTokens }),
      ...(spent?.model === undefined ? {} : { model: cleanLine(spent.model, 100) }),
      ...(spent?.costUsd === undefined ? {} : { costUsd: spent.costUsd }),
      ...(this.#hasEstimate ? { isEstimate: true } : {}),
    };
  }
}
