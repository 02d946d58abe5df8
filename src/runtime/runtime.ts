import type { Approvals } from './approvals/contract.ts';
import type { EventLog } from './core/event-log.ts';
import type { Doctor } from './doctor/contract.ts';
import type { Projects } from './projects/contract.ts';
import type { Review } from './review/contract.ts';
import type { Egress, Tasks } from './tasks/contract.ts';

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
