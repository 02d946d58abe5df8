import { z } from 'zod';
import { BuildScope } from '../../runtime/images/contract.ts';
import { AgentsView } from '../../tools/agents/agents-view.ts';
import { BuildView } from '../../tools/images/build-view.ts';
import { byId, method, none, nullable } from './control-method.ts';
import { loginMethods } from './login-methods.ts';
import { sshMethods } from './ssh-methods.ts';
import { taskMethods } from './task-methods.ts';
import { vaultMethods } from './vault-methods.ts';

/**
 * What the command line says to the daemon: one JSON object per line, `{id, method, params}` answered by
 * `{id, result}` or `{id, error}`, with any number of `{id, progress}` before. The daemon opens with a hello, so that releases that differ are told apart.
 */
export const CONTROL_VERSION = 1;
/** A prompt of the longest kind, each of whose characters JSON spells in six bytes, and what stands around it. */
export const MAX_CONTROL_FRAME_BYTES = 8 * 1024 * 1024;

export const Hello = z.object({
  hello: z.object({ protocol: z.int(), version: z.string(), pid: z.int() }),
});
export type Hello = z.infer<typeof Hello>;

export const ControlRequest = z.strictObject({
  id: z.int().min(0),
  method: z.string().max(100),
  params: z.unknown().optional(),
});

export const ControlFailure = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  details: z.string().optional(),
});
export type ControlFailure = z.infer<typeof ControlFailure>;

export const ControlResponse = z.object({
  id: z.int(),
  /** A line that says how the request comes along; the answer is still to come. */
  progress: z.string().optional(),
  result: z.unknown().optional(),
  error: ControlFailure.optional(),
});
export type ControlResponse = z.infer<typeof ControlResponse>;

const approval = z.object({
  id: z.string(),
  kind: z.string(),
  project: z.string(),
  summary: z.string(),
  state: z.string(),
  requestedBy: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  outcome: nullable(z.string()),
});
export type ApprovalRecord = z.infer<typeof approval>;

const change = z.object({
  branch: z.string(),
  head: z.string(),
  target: z.string(),
  /** Branch of upstream that commits and files are compared with: the target, or the default branch. */
  base: z.string(),
  /** Upstream has no such target yet. */
  isNew: z.boolean(),
  /** The branch stands elsewhere by now: approving will be refused. */
  hasMoved: z.boolean(),
  commits: z.array(z.object({ id: z.string(), author: z.string(), subject: z.string() })),
  commitCount: z.int(),
  files: z.array(
    z.object({ path: z.string(), added: nullable(z.int()), removed: nullable(z.int()), status: z.string() }),
  ),
  fileCount: z.int(),
});
export type ChangeRecord = z.infer<typeof change>;

const project = z.object({
  id: z.string(),
  file: z.string(),
  upstream: z.string(),
  defaultBranch: nullable(z.string()),
  agent: z.string(),
  promotion: z.string(),
});
export type ProjectRecord = z.infer<typeof project>;

const finding = z.object({
  check: z.string(),
  level: z.enum(['ok', 'warn', 'fail']),
  message: z.string(),
  fix: z.string().optional(),
});

const image = z.object({
  id: z.string(),
  tags: z.array(z.string()),
  layer: z.string(),
  project: nullable(z.string()),
  sizeBytes: z.number(),
  createdAt: z.string(),
  /** dangling: lost its tag to a newer one; orphaned: its project or base is gone. */
  state: z.enum(['used', 'dangling', 'orphaned']),
});
export type ImageView = z.infer<typeof image>;

const resolvedConfig = z.object({
  project: nullable(z.string()),
  agent: z.string(),
  preset: nullable(z.string()),
  settings: z.record(z.string(), z.unknown()),
  /** By key, of `agent` also by the key inside it: the files that say something there, the strongest first. */
  sources: z.record(z.string(), z.array(z.string())),
  /** What the layers come to for the agent. */
  run: z.object({
    model: nullable(z.string()),
    max_turns: nullable(z.int()),
    timeout: z.int(),
    unrestricted: z.boolean(),
    subagents: z.array(z.string()),
    has_custom_instructions: z.boolean(),
    instructions: z.string(),
  }),
});
export type ResolvedConfig = z.infer<typeof resolvedConfig>;

/** Whose images; absent: those all projects share. */
const ofProject = z.string().max(200).optional();
const absolutePath = z.string().max(4096).startsWith('/', 'an absolute path');

const settling = z.strictObject({ id: z.string().max(100), by: z.string().min(1).max(100) });

export const control = {
  daemonStatus: method(
    'daemon.status',
    none,
    z.object({
      version: z.string(),
      pid: z.int(),
      startedAt: z.string(),
      clients: z.int(),
      reasonsToStay: z.array(z.string()),
    }),
  ),
  shutdown: method('shutdown', none, z.object({})),
  doctor: method('doctor', none, z.object({ findings: z.array(finding) })),
  approvalsList: method(
    'approvals.list',
    z.strictObject({ pendingOnly: z.boolean() }),
    z.object({ approvals: z.array(approval) }),
  ),
  approvalsShow: method('approvals.show', byId, z.object({ approval, change: nullable(change) })),
  approvalsApprove: method('approvals.approve', settling, approval),
  approvalsDeny: method('approvals.deny', settling, approval),
  projectsCreate: method(
    'projects.create',
    z.strictObject({
      id: z.string().max(200),
      upstreamUrl: z.string().max(4000),
      defaultBranch: z.string().max(500).optional(),
    }),
    project,
  ),
  projectsList: method(
    'projects.list',
    none,
    z.object({
      projects: z.array(project),
      broken: z.array(z.object({ id: z.string(), problem: z.string() })),
    }),
  ),
  configResolved: method(
    'config.resolved',
    z.strictObject({
      project: z.string().max(200).optional(),
      agent: z.string().max(200).optional(),
      preset: z.string().max(200).optional(),
    }),
    resolvedConfig,
  ),
  ...taskMethods,
  ...sshMethods,
  ...vaultMethods,
  ...loginMethods,
  agentsList: method('agents.list', z.strictObject({ project: ofProject }), AgentsView),
  imagesBuild: method(
    'images.build',
    z.strictObject({
      project: ofProject,
      scope: BuildScope,
      dev: z.boolean(),
      sidecar: z.boolean(),
      /** Where the Dockerfiles are written before anything is built. */
      buildDir: absolutePath.optional(),
    }),
    BuildView,
  ),
  imagesGenerate: method(
    'images.generate',
    z.strictObject({ project: ofProject, buildDir: absolutePath }),
    z.object({ files: z.array(z.string()) }),
  ),
  imagesList: method('images.list', none, z.object({ images: z.array(image) })),
  imagesCleanup: method(
    'images.cleanup',
    z.strictObject({ dryRun: z.boolean() }),
    z.object({ removed: z.array(image) }),
  ),
} as const;
