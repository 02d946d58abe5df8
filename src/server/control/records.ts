import { z } from 'zod';
import type { Approval } from '../../runtime/approvals/contract.ts';
import { FALLBACK_AGENT } from '../../runtime/config/contract.ts';
import { RuntimeError } from '../../runtime/core/errors.ts';
import { withoutCredentials } from '../../runtime/core/upstream-url.ts';
import type { Project } from '../../runtime/projects/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { StartedTask, Task, TaskReport, TaskRun } from '../../runtime/tasks/contract.ts';
import type { ApprovalRecord, ChangeRecord, ProjectRecord } from './control-protocol.ts';
import type { RunRecord, StartedRecord, TaskDetails, TaskRecord } from './task-methods.ts';

/** What the subject of a promotion says about itself; other kinds have other subjects. */
const PromotionSubject = z.looseObject({ branch: z.string(), head: z.string(), target: z.string() });

export function toApprovalRecord(approval: Approval): ApprovalRecord {
  const { id, kind, project, summary, state, requestedBy, createdAt, expiresAt } = approval;
  return {
    id,
    kind,
    project,
    summary,
    state,
    requestedBy,
    createdAt,
    expiresAt,
    outcome: approval.outcome ?? null,
  };
}

export function toProjectRecord({ id, file, settings }: Project): ProjectRecord {
  return {
    id,
    file,
    upstream: withoutCredentials(settings.git.upstream_url),
    defaultBranch: settings.git.default_branch ?? null,
    agent: settings.default_agent ?? FALLBACK_AGENT,
    promotion: settings.promotion.approval,
  };
}

export function toTaskRecord(task: Task): TaskRecord {
  const { id, project, name, mode, agent, state, createdAt } = task;
  return {
    id,
    project,
    name,
    mode,
    agent,
    state,
    createdAt,
    webPort: task.webPort ?? null,
    exitCode: task.exitCode ?? null,
    failure: task.failure ?? null,
    finishedAt: task.finishedAt ?? null,
  };
}

export function toTaskDetails(report: TaskReport): TaskDetails {
  const { container, run, workStatus } = report;
  return {
    ...toTaskRecord(report),
    container,
    run: run === undefined ? null : toRunRecord(run),
    branches: report.branches.map(({ branch, head, ahead }) => ({ branch, head, ahead })),
    workStatus:
      workStatus === undefined
        ? null
        : { status: workStatus.status, message: workStatus.message ?? null, at: workStatus.at },
    workStatusProblem: report.workStatusProblem ?? null,
    notices: [...report.notices],
    engineUnreachable: report.engineUnreachable ?? null,
  };
}

function toRunRecord({ number, createdAt, summary, ...run }: TaskRun): RunRecord {
  return {
    number,
    createdAt,
    endedAt: run.endedAt ?? null,
    exitCode: run.exitCode ?? null,
    failure: run.failure ?? null,
    session: run.session ?? null,
    summary,
  };
}

export function toStartedRecord(started: StartedTask): StartedRecord {
  const { container, warnings, webUrl } = started;
  return {
    task: { ...toTaskRecord(started), container },
    warnings: [...warnings],
    webUrl: webUrl ?? null,
  };
}

/**
 * What approving a promotion would send upstream. Null for other kinds, and when the branch is gone: then
 * approving reports why it cannot be done.
 */
export async function describeChange(
  runtime: Runtime,
  approval: Approval,
  signal: AbortSignal,
): Promise<ChangeRecord | null> {
  if (approval.kind !== 'promotion') return null;
  const subject = PromotionSubject.safeParse(parseJson(approval.subject));
  if (!subject.success) return null;
  const { branch, head, target } = subject.data;
  try {
    const diff = await runtime.review.diff({ project: approval.project, branch, target }, signal);
    return {
      branch,
      head,
      target,
      base: diff.base,
      isNew: diff.base !== target,
      hasMoved: diff.head !== head,
      commits: [...diff.commits],
      commitCount: diff.commitCount,
      files: diff.files.map(({ path, added, removed, status }) => ({
        path,
        added: added ?? null,
        removed: removed ?? null,
        status,
      })),
      fileCount: diff.fileCount,
    };
  } catch (error) {
    if (error instanceof RuntimeError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
