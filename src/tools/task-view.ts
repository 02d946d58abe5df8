import { z } from 'zod';
import { cleanLine } from '../runtime/core/untrusted-text.ts';
import { type Task, TaskMode, TaskState } from '../runtime/tasks/contract.ts';

const MAX_WARNINGS = 20;

/** A task as clients see it: ids first, the next step last. */
export const TaskView = z.strictObject({
  task: z.string().describe('Task id: give it to the other tools.'),
  project: z.string().describe('Project id.'),
  name: z.string().describe('Label.'),
  state: TaskState.describe(
    'starting: workspace is being prepared; completed and failed are ends of headless runs.',
  ),
  mode: TaskMode.describe(
    'headless: ran a prompt; interactive: idles for a login; dev: a shell of a person.',
  ),
  agent: z.string().describe('Agent inside.'),
  restricted: z.boolean().describe('No sudo inside.'),
  base_branch: z.string().describe('Branch it started on.'),
  created_at: z.string().describe('ISO 8601.'),
  started_at: z.string().optional().describe('ISO 8601.'),
  finished_at: z.string().optional().describe('ISO 8601.'),
  exit_code: z.int().optional().describe('Exit code of the agent.'),
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
    ...(task.exitCode === undefined ? {} : { exit_code: task.exitCode }),
    ...(task.failure === undefined ? {} : { failure: task.failure }),
    next: nextStep(task),
  };
}

/** A task just made, and what of it is not as it was asked for. */
export const CreatedTaskView = TaskView.extend({
  warnings: z.array(z.string()).optional().describe('What was asked for and could not be had.'),
});

export function toCreatedTaskView(task: Task, warnings: readonly string[]): z.infer<typeof CreatedTaskView> {
  const view = toTaskView(task);
  if (warnings.length === 0) return view;
  return { ...view, warnings: warnings.slice(0, MAX_WARNINGS).map((warning) => cleanLine(warning, 300)) };
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
    case 'starting':
      return `task_status task=${id} wait_s=45`;
    case 'running':
      return mode === 'headless'
        ? `task_status task=${id} wait_s=45 until it ends; task_logs shows its output`
        : `stop_task or delete_task task=${id} when no longer needed`;
    case 'stopping':
      return `task_status task=${id} wait_s=45`;
    case 'completed':
      return `task_status task=${id} lists its branches; then gate_diff project=${project}`;
    case 'failed':
      return `task_logs task=${id} shows what happened`;
    case 'stopped':
      return `task_status task=${id} lists its branches; delete_task when done`;
    case 'deleting':
      return 'list_tasks';
  }
}
