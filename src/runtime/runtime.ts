import type { Approvals } from './approvals/contract.ts';
import type { EventLog } from './core/event-log.ts';
import type { Doctor } from './doctor/contract.ts';
import type { Projects } from './projects/contract.ts';
import type { Review } from './review/contract.ts';
import type { RefusedConnection } from './shield/contract.ts';
import type { Tasks } from './tasks/contract.ts';

/** Everything a front end may use. Made by `createRuntime`, the only place that calls constructors. */
export interface Runtime extends AsyncDisposable {
  readonly projects: Projects;
  readonly tasks: Tasks;
  readonly review: Review;
  readonly approvals: Approvals;
  readonly egress: Egress;
  readonly doctor: Doctor;
  readonly events: EventLog;
}

/** A task's network as tools show it. */
export interface EgressReport {
  readonly task: string;
  readonly state: 'up' | 'down' | 'altered';
  readonly allowed: readonly { readonly address: string; readonly port: number; readonly protocol: string }[];
  readonly refused: readonly RefusedConnection[];
  /** Every destination ever refused to this task, from the event log: survives the namespace. */
  readonly refusedEver: number;
}

export interface Egress {
  status(task: string, signal?: AbortSignal): Promise<EgressReport>;
}
