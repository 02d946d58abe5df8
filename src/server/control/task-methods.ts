import { z } from 'zod';
import { TaskMode, TaskState } from '../../runtime/tasks/contract.ts';
import { RunSummary } from '../../runtime/transcript/contract.ts';
import {
  agentField,
  checkSource,
  instructionsField,
  maxTurnsField,
  modelField,
  nameField,
  presetField,
  promptField,
  timeoutField,
  toolArgsField,
} from '../../tools/fields.ts';
import { byId, id, method, nullable } from './control-method.ts';

const task = z.object({
  id: z.string(),
  project: z.string(),
  name: z.string(),
  mode: TaskMode,
  agent: z.string(),
  state: TaskState,
  webPort: nullable(z.int()),
  exitCode: nullable(z.int()),
  failure: nullable(z.string()),
  createdAt: z.string(),
  finishedAt: nullable(z.string()),
});
export type TaskRecord = z.infer<typeof task>;

const run = z.object({
  number: z.int(),
  createdAt: z.string(),
  endedAt: nullable(z.string()),
  exitCode: nullable(z.int()),
  failure: nullable(z.string()),
  session: nullable(z.string()),
  summary: RunSummary,
});
export type RunRecord = z.infer<typeof run>;

const details = task.extend({
  container: z.string(),
  /** Its newest run; null in modes that have none. */
  run: nullable(run),
  branches: z.array(z.object({ branch: z.string(), head: z.string(), ahead: z.int() })),
  workStatus: nullable(z.object({ status: z.string(), message: nullable(z.string()), at: z.string() })),
  workStatusProblem: nullable(z.string()),
  /** What happened with its credentials. */
  notices: z.array(z.string()),
  /** Why Podman could not be asked: the state is the last known one. */
  engineUnreachable: nullable(z.string()),
});
export type TaskDetails = z.infer<typeof details>;

const started = z.object({
  task: task.extend({ container: z.string() }),
  warnings: z.array(z.string()),
  /** Web tasks: with the token that lets in whoever has it. */
  webUrl: nullable(z.string()),
});
export type StartedRecord = z.infer<typeof started>;

const short = z.string().max(200);

const limits = { model: modelField, maxTurns: maxTurnsField, timeoutS: timeoutField };

export const taskMethods = {
  tasksList: method(
    'tasks.list',
    z.strictObject({ project: short.optional() }),
    z.object({ tasks: z.array(task) }),
  ),
  tasksShow: method('tasks.show', byId, details),
  /** Makes a task of any mode but dev, and answers once its container runs. */
  tasksStart: method(
    'tasks.start',
    z
      .strictObject({
        mode: TaskMode.exclude(['dev']),
        project: short.optional(),
        /** A URL, or an absolute path of this machine. */
        repo: z.string().max(4000).optional(),
        name: nameField,
        agent: agentField,
        branch: z.string().max(500).optional(),
        gate: z.boolean().optional(),
        restricted: z.boolean().optional(),
        gpus: z.boolean().optional(),
        prompt: promptField.optional(),
        preset: presetField,
        ...limits,
        instructions: instructionsField,
        web: z
          .strictObject({
            port: z.int().min(1024).max(65_535).optional(),
            publicUrl: z.string().max(2000).optional(),
          })
          .optional(),
        tool: z.strictObject({ name: short, args: toolArgsField }).optional(),
      })
      .superRefine(checkSource),
    started,
  ),
  tasksFollowUp: method(
    'tasks.followUp',
    z.strictObject({ id, prompt: promptField, fresh: z.boolean().optional(), ...limits }),
    started,
  ),
  tasksRestart: method('tasks.restart', z.strictObject({ id, recreate: z.boolean().optional() }), started),
  tasksWebUrl: method('tasks.webUrl', byId, z.object({ url: z.string() })),
  tasksStop: method('tasks.stop', byId, task),
  tasksDelete: method('tasks.delete', byId, z.object({ id: z.string(), archived: z.array(z.string()) })),
  tasksLogs: method(
    'tasks.logs',
    z.strictObject({
      id,
      cursor: z.int().min(0).optional(),
      tail: z.int().min(1).max(10_000),
      /** As it was printed, instead of what it means. */
      raw: z.boolean().optional(),
    }),
    z.object({ lines: z.array(z.string()), nextCursor: z.int(), isComplete: z.boolean() }),
  ),
  tasksDev: method(
    'tasks.dev',
    z.strictObject({ project: short }),
    z.object({ task, container: z.string(), warnings: z.array(z.string()) }),
  ),
} as const;
