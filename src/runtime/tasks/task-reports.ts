import { CancelledError } from '../core/errors.ts';
import type { TranscriptPage } from '../transcript/contract.ts';
import type {
  LogPage,
  LogRequest,
  Task,
  TaskReport,
  TaskRun,
  TranscriptRequest,
  WorkStatus,
} from './contract.ts';
import type { RunFollower } from './run-follower.ts';
import { hasEnded, isActive } from './state.ts';
import type { TaskContext } from './task-context.ts';
import { NOTICE_KINDS, noticesOf } from './task-notices.ts';
import { loadWorkStatus } from './work-status-loader.ts';

const LAST_OUTPUT_LINES = 5;
const LAST_OUTPUT_CHARS = 1_000;

/** What is known of a task, put together from the store, its log, its gate and its agent's own words. */
export class TaskReports {
  readonly #context: TaskContext;
  readonly #follower: RunFollower;
  /** So that a wait ends for what nobody has been told yet. */
  readonly #told = new Map<string, string>();

  constructor(context: TaskContext, deps: { readonly follower: RunFollower }) {
    this.#context = context;
    this.#follower = deps.follower;
  }

  /** The work status that was reported last; undefined before any was. */
  lastTold(task: string): string | undefined {
    return this.#told.get(task);
  }

  /** `current` is asked last: what is told besides may be older, and never newer. */
  async report(task: Task, current: () => Task, signal?: AbortSignal): Promise<TaskReport> {
    const { files } = this.#context;
    const [branches, log, work, engineUnreachable] = await Promise.all([
      this.#branches(task, signal),
      this.logs(task, { task: task.id, tail: LAST_OUTPUT_LINES, maxChars: LAST_OUTPUT_CHARS }),
      loadWorkStatus(files.pathsOf(task).agentState),
      this.#whyUnreachable(task, signal),
    ]);
    const now = current();
    const workStatus = ofThisStart(now, work.status);
    if (workStatus === undefined || hasEnded(now)) this.#told.delete(task.id);
    else this.#told.set(task.id, workStatus.status);
    return {
      ...now,
      branches,
      lastOutput: log.lines,
      run: this.#run(task),
      workStatus,
      workStatusProblem: work.problem,
      notices: noticesOf(this.#context.events.forTask(task.id, { kinds: NOTICE_KINDS, limit: 20 }), now),
      engineUnreachable,
    };
  }

  async logs(task: Task, request: LogRequest): Promise<LogPage> {
    const { evidences, transcripts } = this.#context;
    return await transcripts.lines(await evidences.logOf(task), {
      cursor: request.cursor,
      tail: request.tail,
      maxChars: request.maxChars,
      contains: request.contains,
      raw: request.raw ?? false,
    });
  }

  async transcript(task: Task, request: TranscriptRequest): Promise<TranscriptPage> {
    const { evidences, transcripts } = this.#context;
    return await transcripts.events(await evidences.logOf(task), {
      cursor: request.cursor ?? 0,
      maxEvents: request.maxEvents,
    });
  }

  #run(task: Task): TaskRun | undefined {
    const run = this.#context.store.runs.last(task.id);
    if (run === undefined) return undefined;
    const { number, createdAt, endedAt, exitCode, failure, session, summary } = run;
    const soFar = endedAt === undefined ? this.#follower.summaryOf(run.id) : undefined;
    return { number, createdAt, endedAt, exitCode, failure, session, summary: soFar ?? summary };
  }

  async #branches(task: Task, signal?: AbortSignal): Promise<TaskReport['branches']> {
    const project = await this.#context.projects.get(task.project).catch(() => undefined);
    if (project === undefined || task.state === 'creating') return [];
    const branches = await this.#context.gate.branches(project, task.id, signal);
    return branches.map(({ branch, head, ahead }) => ({ branch, head, ahead }));
  }

  /** "The query failed" is told, never read as "there is none". */
  async #whyUnreachable(task: Task, signal?: AbortSignal): Promise<string | undefined> {
    if (!isActive(task)) return undefined;
    try {
      await this.#context.engine.inspect(task.container, signal);
      return undefined;
    } catch (error) {
      if (error instanceof CancelledError) throw error;
      return error instanceof Error ? error.message : 'Podman could not be asked';
    }
  }
}

/** What the agent said before its task was last started says nothing of now. */
export const ofThisStart = ({ startedAt }: Task, status: WorkStatus | undefined): WorkStatus | undefined =>
  status === undefined || (startedAt !== undefined && Date.parse(status.at) < Date.parse(startedAt))
    ? undefined
    : status;
