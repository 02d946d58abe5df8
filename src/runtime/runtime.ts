import type { Agents } from './agents/contract.ts';
import type { Approvals } from './approvals/contract.ts';
import type { Config } from './config/contract.ts';
import type { EventLog } from './core/event-log.ts';
import type { Doctor } from './doctor/contract.ts';
import type { ImageBuilds, Images } from './images/contract.ts';
import type { Projects } from './projects/contract.ts';
import type { Review } from './review/contract.ts';
import type { Egress, Tasks } from './tasks/contract.ts';
import type { SshHosts, Vault } from './vault/contract.ts';

/** Everything a front end may use. Made by `createRuntime`, the only place that calls constructors. */
export interface Runtime extends AsyncDisposable {
  /**
   * Settles once what an earlier run left has been taken up, so that nothing half-made is shown; at the latest
   * after some seconds, and also when it could not be (no Podman, say). Never rejects.
   */
  readonly ready: Promise<void>;
  readonly agents: Agents;
  readonly config: Config;
  readonly images: Images;
  readonly builds: ImageBuilds;
  readonly projects: Projects;
  readonly tasks: Tasks;
  readonly review: Review;
  readonly approvals: Approvals;
  readonly egress: Egress;
  readonly vault: Vault;
  readonly sshHosts: SshHosts;
  readonly doctor: Doctor;
  readonly events: EventLog;
}
