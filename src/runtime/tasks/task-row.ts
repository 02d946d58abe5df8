import { z } from 'zod';
import { TaskId } from '../core/ids.ts';
import { type Task, TaskMode, TaskState } from './contract.ts';

export interface TaskRow {
  id: string;
  project: string;
  name: string;
  mode: string;
  agent: string;
  restricted: number;
  state: string;
  container: string;
  base_branch: string;
  web_port: number | null;
  exit_code: number | null;
  failure: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

/** What whoever made a task said about how it is run: what a follow-up and a restart keep to. */
export const TaskSettings = z.object({
  preset: z.string().optional(),
  model: z.string().optional(),
  maxTurns: z.int().optional(),
  timeoutS: z.int().optional(),
  instructions: z.string().optional(),
  subagents: z.array(z.string()).readonly().optional(),
  restricted: z.boolean().optional(),
  branch: z.string().optional(),
  /** false: it may push nothing. */
  gate: z.boolean().optional(),
  gpus: z.boolean().optional(),
  /** The agent whose settings hold in a web task, whose own `agent` is the web program. */
  agent: z.string().optional(),
  web: z.object({ port: z.int().optional(), publicUrl: z.string().optional() }).optional(),
  toolArgs: z.array(z.string()).readonly().optional(),
});
export type TaskSettings = z.infer<typeof TaskSettings>;

/**
 * What a task was before it was started again. Kept in its row until its container runs, so that whatever ends the
 * attempt leaves the task as it was.
 */
export const BeforeRestart = z.object({
  state: TaskState,
  exit_code: z.int().nullable(),
  failure: z.string().nullable(),
  started_at: z.string().nullable(),
  finished_at: z.string().nullable(),
  settings: z.string(),
  session: z.string().nullable(),
  image: z.string().nullable(),
  log_offset: z.int(),
  web_port: z.int().nullable(),
  restricted: z.int(),
});

export function toTask(row: TaskRow): Task {
  return {
    id: TaskId.parse(row.id),
    project: row.project,
    name: row.name,
    mode: TaskMode.parse(row.mode),
    agent: row.agent,
    restricted: row.restricted === 1,
    state: TaskState.parse(row.state),
    container: row.container,
    baseBranch: row.base_branch,
    webPort: row.web_port ?? undefined,
    exitCode: row.exit_code ?? undefined,
    failure: row.failure ?? undefined,
    createdAt: row.created_at,
    startedAt: row.started_at ?? undefined,
    finishedAt: row.finished_at ?? undefined,
  };
}
