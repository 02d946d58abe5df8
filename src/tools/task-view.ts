import { z } from 'zod';
import { cleanLine } from '../runtime/core/untrusted-text.ts';
import { type StartedTask, type Task, TaskMode, TaskState } from '../runtime/tasks/contract.ts';

const MAX_WARNINGS = 20;

/** A task as clients see it: ids first, the next step last. */
export const TaskView = z.strictObject({
  task: z.string().describe('Task id: give it to the other tools.'),
  project: z.string().describe('Project id.'),
  name: z.string().describe('Label.'),
  state: TaskState.describe(
    'starting: workspace is being prepared; completed and failed are ends of headless and tool runs.',
  ),
  mode: TaskMode.describe(
    'headless: works on a prompt; interactive: a terminal for people; web: a program for the browser; tool: one program; dev: a shell of a person.',
  ),
  agent: z.string().describe('Agent inside; or the tool, or the web program.'),
  restricted: z.boolean().describe('No sudo inside.'),
  base_branch: z.string().describe('Branch it started on.'),
  created_at: z.string().describe('ISO 8601.'),
  started_at: z.string().optional().describe('ISO 8601.'),
  finished_at: z.string().optional().describe('ISO 8601.'),
  web_port: z.int().optional().describe("Port of the host's loopback."),
  exit_code: z.int().optional().describe('Of the agent or tool.'),
  failure: z.string().optional().describe('Why it failed.'),
  next: z.string().describe('What to call next.'),
});
export type TaskView = z.infer<typeof TaskView>;

export function toTaskView(task: Task): TaskView {
  return {
    task: task.id,
    project: task.project,
    name: task.name,
    state: task.state,
    mode: task.mode,
    agent: task.agent,
    restricted: task.restricted,
    base_branch: task.baseBranch,
    created_at: task.createdAt,
    ...(task.startedAt === undefined ? {} : { started_at: task.startedAt }),
    ...(task.finishedAt === undefined ? {} : { finished_at: task.finishedAt }),
    ...(task.webPort === undefined ? {} : { web_port: task.webPort }),
    ...(task.exitCode === undefined ? {} : { exit_code: task.exitCode }),
    ...(task.failure === undefined ? {} : { failure: task.failure }),
    next: nextStep(task),
  };
}

/** A task just made, and what of it is not as it was asked for. */
export const CreatedTaskView = TaskView.extend({
  warnings: z.array(z.string()).optional().describe('What was asked for and could not be had.'),
  url: z
    .string()
    .optional()
    .describe('Of a web task, with the token that lets people in: give it to nobody else.'),
});

/** `task`: as it is by now. */
export function toCreatedTaskView(
  { warnings, webUrl }: Pick<StartedTask, 'warnings' | 'webUrl'>,
  task: Task,
): z.infer<typeof CreatedTaskView> {
  return {
    ...toTaskView(task),
    ...(warnings.length === 0
      ? {}
      : { warnings: warnings.slice(0, MAX_WARNINGS).map((warning) => cleanLine(warning, 300)) }),
    ...(webUrl === undefined ? {} : { url: cleanLine(webUrl, 2500) }),
  };
}

/** No further change of state comes by itself. */
export function hasEnded(task: Task): boolean {
  return (
    task.state === 'completed' ||
    task.state === 'failed' ||
    task.state === 'stopped' ||
    task.state === 'deleting'
  );
}

function nextStep({ id, project, state, mode }: Task): string {
  switch (state) {
    case 'creating':
    case 'restarting':
    case 'starting':
    case 'stopping':
      return `task_status task=${id} wait_s=45`;
    case 'running':
      return whileRunning(id, mode);
    case 'completed':
      return mode === 'tool'
        ? `task_logs task=${id} shows what it said`
        : `task_status task=${id} lists its branches; then gate_diff project=${project}; ${again(id, mode)}`;
    case 'failed':
      return `task_logs task=${id} shows what happened; ${again(id, mode)}`;
    case 'stopped':
      return `task_status task=${id} lists its branches; ${again(id, mode)}; delete_task when done`;
    case 'deleting':
      return 'list_tasks';
  }
}

function whileRunning(id: string, mode: TaskMode): string {
  switch (mode) {
    case 'headless':
    case 'tool':
      return `task_status task=${id} wait_s=45 until it ends; task_logs shows its output`;
    case 'interactive':
      return `a person reaches it with: terok-mcp login ${id}; stop_task when no longer needed`;
    case 'web':
      return `a person opens the url; terok-mcp task open ${id} makes a new one; stop_task when no longer needed`;
    case 'dev':
      return `stop_task or delete_task task=${id} when no longer needed`;
  }
}

function again(id: string, mode: TaskMode): string {
  if (mode === 'dev') return 'a person starts another one';
  return mode === 'headless'
    ? `follow_up task=${id} goes on with another prompt`
    : `restart_task task=${id} starts it again`;
}
