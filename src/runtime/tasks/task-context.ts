import type { Agents } from '../agents/contract.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { Clock } from '../core/clock.ts';
import type { EventLog } from '../core/event-log.ts';
import type { KeyedMutex } from '../core/keyed-mutex.ts';
import type { Logger } from '../core/log.ts';
import type { ContainerEngine } from '../engine/contract.ts';
import type { Gate } from '../gate/contract.ts';
import type { Gpus } from '../gpus/contract.ts';
import type { Images } from '../images/contract.ts';
import type { Projects } from '../projects/contract.ts';
import type { Shield } from '../shield/contract.ts';
import type { Transcripts } from '../transcript/contract.ts';
import type { Vault } from '../vault/contract.ts';
import type { WebDoors } from '../web/contract.ts';
import type { CredentialWatch } from './credential-watch.ts';
import type { RefusalRecorder } from './refusal-recorder.ts';
import type { RunEvidences } from './run-evidence.ts';
import type { TaskChanges } from './task-changes.ts';
import type { TaskFilesStore } from './task-files-store.ts';
import type { TaskServices } from './task-services.ts';
import type { TaskStore } from './task-store.ts';

/** What the parts of `tasks` share: collaborators by contract, and this folder's own stores. */
export interface TaskContext {
  readonly projects: Projects;
  readonly agents: Agents;
  readonly gpus: Gpus;
  readonly engine: ContainerEngine;
  readonly images: Images;
  readonly gate: Gate;
  readonly shield: Shield;
  readonly doors: WebDoors;
  readonly transcripts: Transcripts;
  readonly vault: Pick<Vault, 'planGrants' | 'grant' | 'revoke'>;
  readonly credentials: CredentialWatch;
  readonly events: EventLog;
  readonly store: TaskStore;
  readonly files: TaskFilesStore;
  readonly services: TaskServices;
  readonly evidences: RunEvidences;
  readonly refusals: RefusalRecorder;
  readonly changes: TaskChanges;
  /** One operation at a time per task. */
  readonly mutex: KeyedMutex;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly checkpoint: Checkpoint;
  readonly instance: string;
  /** Directory with one for each agent, whose files each new task of it begins with. */
  readonly personalHomes: string;
}
