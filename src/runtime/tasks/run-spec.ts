import { createHash } from 'node:crypto';
import { AGENT_CONFIG, type AgentRun } from '../agents/contract.ts';
import { InvalidInputError } from '../core/errors.ts';
import {
  type ContainerSpec,
  type EngineInfo,
  type IdMapping,
  LABEL,
  type Mount,
} from '../engine/contract.ts';
import type { GpuGrant } from '../gpus/contract.ts';
import type { Project } from '../projects/contract.ts';
import type { GrantPlan } from '../vault/contract.ts';
import type { Task } from './contract.ts';
import { hasRuns } from './state.ts';
import type { TaskPaths } from './task-files-store.ts';

/** `dev` of the images. */
export const CONTAINER_USER = 1000;
/** Cloning, and the grace of `timeout`, on top of a run's own limit. */
const START_UP_S = 120;
const HOUR_S = 3600;
const MAX_LOG_BYTES = 256 * 1024 * 1024;

/** What sudo needs to become root inside the container, and nothing that touches networks, devices or the host. */
const SUDO_CAPABILITIES = ['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID'] as const;

export interface RunSpecInput {
  readonly task: Task;
  readonly project: Project;
  readonly run: AgentRun;
  readonly gpu: GpuGrant;
  readonly image: string;
  readonly paths: TaskPaths;
  readonly networkPath: string;
  readonly idMapping: IdMapping;
  readonly engine: Pick<EngineInfo, 'limitsUnavailable'>;
  readonly instance: string;
  readonly timeoutS: number;
  readonly access: Pick<GrantPlan, 'grants' | 'hasSshAgent'>;
}

/** Where the task's own SSH agent stands, by the host's doing. */
const SSH_AGENT = '/run/terok/ssh-agent.sock';

/**
 * One task's container, whole (pure). The isolation here is not negotiable by project or caller, only tightened.
 * Nothing of a single run is in it, so that the next run can be in the same container: what is to be run lies in the
 * services directory, in `run` and `prompt`.
 */
export function runSpec(input: RunSpecInput): ContainerSpec {
  const spec = unlabelledSpec(input);
  return { ...spec, labels: { ...spec.labels, [LABEL.spec]: fingerprintOf(spec) } };
}

/** Of everything a container is made with: another one means that another container is needed. */
const fingerprintOf = (spec: ContainerSpec): string =>
  createHash('sha256')
    .update(JSON.stringify(sorted(spec)))
    .digest('hex');

/** With keys in order: the order in which they were put together says nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, sorted(inner)]);
}

/** What `terok-init` is to run: the limit in seconds (0: none), then program and arguments, each ended by a NUL. */
export function runFile(timeoutS: number, program: readonly string[]): string {
  const fields = [String(timeoutS), ...program];
  if (fields.some((field) => field.includes('\0')))
    throw new InvalidInputError('An argument contains a NUL character', {
      hint: 'No program can be given one.',
    });
  return fields.map((field) => `${field}\0`).join('');
}

function unlabelledSpec(input: RunSpecInput): ContainerSpec {
  const { task, project, run, paths } = input;
  const { git, run: limits, relay } = project.settings;
  return {
    name: task.container,
    hostname: task.id,
    image: input.image,
    command: ['terok-init', task.mode],
    workdir: '/workspace',
    user: CONTAINER_USER,
    idMapping: input.idMapping,
    // Ours last: no agent and no GPU moves the task away from its gate.
    environment: {
      ...run.environment,
      ...input.gpu.environment,
      TASK_ID: task.id,
      PROJECT_NAME: task.project,
      REPO_ROOT: '/workspace',
      CODE_REPO: `http://localhost:9418/${task.project}.git`,
      GIT_BRANCH: task.baseBranch,
      GIT_RESET_MODE: git.reset_mode,
      ...(relay === undefined ? {} : { TEROK_RELAY: '1' }),
      ...(input.access.grants.length === 0 ? {} : { TEROK_VAULT: '1' }),
      ...(input.access.hasSshAgent ? { SSH_AUTH_SOCK: SSH_AGENT } : {}),
    },
    labels: {
      [LABEL.instance]: input.instance,
      [LABEL.project]: task.project,
      [LABEL.task]: task.id,
      [LABEL.mode]: task.mode,
      [LABEL.agent]: task.agent,
    },
    mounts: [
      { hostPath: paths.workspace, containerPath: '/workspace', readOnly: false },
      { hostPath: paths.agentState, containerPath: '/home/dev/.terok', readOnly: false },
      ...run.state.map((directory) => ({
        hostPath: `${paths.agentHome}/${directory}`,
        containerPath: `/home/dev/${directory}`,
        readOnly: false,
      })),
      { hostPath: paths.services, containerPath: '/run/terok', readOnly: true },
      ...configMounts(run, paths),
    ],
    devices: input.gpu.devices,
    terminal: task.mode === 'dev' || task.mode === 'interactive',
    network: { kind: 'namespace', path: input.networkPath },
    capabilities: task.restricted ? [] : SUDO_CAPABILITIES,
    noNewPrivileges: task.restricted,
    limits:
      input.engine.limitsUnavailable === undefined
        ? { memoryBytes: limits.memory, pids: limits.pids, cpus: limits.cpus }
        : undefined,
    log: { hostPath: paths.log, maxBytes: MAX_LOG_BYTES },
    stopTimeoutS: limits.shutdown_timeout,
    // `terok-init` keeps the time limit; this one holds when the agent has stopped whatever keeps it.
    lifetimeS: lifetimeOf(task, input.timeoutS),
  };
}

/** Seconds after which the container is ended whatever it does; undefined where it may run on. */
export const lifetimeOf = (task: Pick<Task, 'mode'>, timeoutS: number): number | undefined =>
  hasRuns(task) && timeoutS > 0 ? lifetimeFor(timeoutS) : undefined;

/** One of few, in seconds: a follow-up with a little more time is no reason for another container. */
function lifetimeFor(timeoutS: number): number {
  const hours = Math.ceil(Math.log2((timeoutS + START_UP_S) / HOUR_S));
  return HOUR_S * 2 ** Math.max(0, hours);
}

/** The whole directory, and by itself each file that a program looks for elsewhere. All read-only. */
function configMounts({ files }: AgentRun, { agentConfig }: TaskPaths): readonly Mount[] {
  return [
    { hostPath: agentConfig, containerPath: AGENT_CONFIG, readOnly: true },
    ...files.flatMap(({ path, mountedAt }) =>
      mountedAt === undefined
        ? []
        : [{ hostPath: `${agentConfig}/${path}`, containerPath: mountedAt, readOnly: true }],
    ),
  ];
}
