import type { Clock } from '../../core/clock.ts';
import type { EventLog } from '../../core/event-log.ts';
import { cleanLine } from '../../core/untrusted-text.ts';
import type { Project } from '../../projects/contract.ts';
import type { AuditLog } from '../parts.ts';
import type { Refusal } from './sign-policy.ts';

/** Whose agent it is: a task of this id, or a part of ours that logs in with the project's key. */
export interface AgentOwner {
  readonly id: string;
  readonly project: Project;
}

/** Why a task's agent did not do what it was asked, one word each; `ok` where it did. */
export type AgentOutcome =
  | 'ok'
  | Refusal
  | 'locked'
  | 'no-key'
  | 'failed'
  | 'too-many'
  | 'malformed'
  | 'unsupported'
  | 'forwarding'
  | 'forged-session'
  | 'too-many-sessions'
  | 'known-hosts';

export interface AgentAct {
  readonly method: 'list' | 'sign' | 'bind' | 'other';
  readonly outcome: AgentOutcome;
  /** `user@host[:port]`, or what is known of it. */
  readonly target?: string | undefined;
  /** Of the key. */
  readonly fingerprint?: string | undefined;
  readonly startedAt: Date;
}

const MINUTE_MS = 60_000;
/** What is no attempt of the task at something it may not do. */
const QUIET: ReadonlySet<AgentOutcome> = new Set(['ok', 'no-key', 'locked']);

/** Writes down what a task's agent was asked: all of it to the audit, refusals as events, of a kind one a minute. */
export class AgentRecorder {
  readonly #task: AgentOwner;
  readonly #audit: AuditLog;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #toldAt = new Map<AgentOutcome, number>();

  constructor(deps: {
    readonly task: AgentOwner;
    readonly audit: AuditLog;
    readonly events: EventLog;
    readonly clock: Clock;
  }) {
    this.#task = deps.task;
    this.#audit = deps.audit;
    this.#events = deps.events;
    this.#clock = deps.clock;
  }

  record({ method, outcome, target, fingerprint, startedAt }: AgentAct): void {
    const { id, project } = this.#task;
    const shown = cleanLine(target ?? '', 200);
    this.#audit.append({
      at: startedAt.toISOString(),
      task: id,
      project: project.id,
      channel: 'ssh',
      ...(fingerprint === undefined ? {} : { provider: fingerprint }),
      method,
      target: shown,
      outcome,
      durationMs: this.#clock.now().getTime() - startedAt.getTime(),
    });
    if (QUIET.has(outcome)) return;
    const now = this.#clock.now().getTime();
    const told = this.#toldAt.get(outcome);
    if (told !== undefined && told <= now && now - told < MINUTE_MS) return;
    this.#toldAt.set(outcome, now);
    this.#events.record({
      project: project.id,
      task: id,
      actor: 'agent',
      kind: 'ssh.refused',
      data: { method, reason: outcome, target: shown },
    });
  }
}
