import type { CredentialRoute } from '../../agents/contract.ts';
import type { Clock } from '../../core/clock.ts';
import type { EventLog } from '../../core/event-log.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Logger } from '../../core/log.ts';
import type { AuditLog, Budgets, LiveCredentials, Tokens } from '../parts.ts';
import type { SentSecrets } from './sent-secrets.ts';
import type { Upstreams } from './upstream-client.ts';

export interface ProxyDeps {
  readonly tokens: Tokens;
  readonly budgets: Budgets;
  readonly live: LiveCredentials;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly events: Pick<EventLog, 'record'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** By name of the entry, as the roster is now. */
  readonly routes: () => Promise<ReadonlyMap<string, CredentialRoute>>;
  readonly upstreams: Upstreams;
  /** Somebody needs the vault and it is locked; at most once a minute for each task. */
  readonly onLocked: (task: { readonly id: TaskId; readonly project: { readonly id: string } }) => void;
}

const ALARM_INTERVAL_MS = 60_000;

/** One task at its proxy: who it is, and what is told of it. What it could repeat at will is told once a minute. */
export class TaskGuard {
  readonly task: TaskId;
  readonly project: string;
  readonly deps: ProxyDeps;
  readonly sent: SentSecrets;
  readonly #lastAlarm = new Map<string, number>();

  constructor(options: {
    readonly task: TaskId;
    readonly project: string;
    readonly deps: ProxyDeps;
    /** Of all tasks. */
    readonly sent: SentSecrets;
  }) {
    this.task = options.task;
    this.project = options.project;
    this.deps = options.deps;
    this.sent = options.sent;
  }

  /** `data` holds words of ours and names of providers, nothing that was sent. */
  alarm(kind: 'credential.misused' | 'credential.echoed', data: Readonly<Record<string, unknown>>): void {
    if (!this.#isDue(kind)) return;
    this.deps.events.record({ project: this.project, task: this.task, actor: 'system', kind, data });
  }

  vaultNeeded(): void {
    if (this.#isDue('locked')) this.deps.onLocked({ id: this.task, project: { id: this.project } });
  }

  #isDue(what: string): boolean {
    const now = this.deps.clock.now().getTime();
    const last = this.#lastAlarm.get(what);
    if (last !== undefined && now - last < ALARM_INTERVAL_MS) return false;
    this.#lastAlarm.set(what, now);
    return true;
  }
}
