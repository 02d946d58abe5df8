import { setTimeout as delay } from 'node:timers/promises';
import type { Agents } from '../../src/runtime/agents/contract.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../../src/runtime/core/errors.ts';
import { newTaskId } from '../../src/runtime/core/ids.ts';
import type { Project, Projects } from '../../src/runtime/projects/contract.ts';
import type {
  CreateTaskInput,
  FollowUpInput,
  LogPage,
  LogRequest,
  StartedTask,
  Task,
  TaskReport,
  TaskRun,
  Tasks,
  WorkStatus,
} from '../../src/runtime/tasks/contract.ts';
import {
  EMPTY_SUMMARY,
  type RunSummary,
  type TranscriptPage,
} from '../../src/runtime/transcript/contract.ts';

export const HEAD = 'a'.repeat(40);

interface Extras {
  readonly log: string[];
  readonly runs: TaskRun[];
  workStatus: WorkStatus | undefined;
  workStatusProblem: string | undefined;
}

/**
 * Tasks in memory. A prompt is a script: `say TEXT`, `sleep S`, `fail` (throws a defect), `exit N`, `failure TEXT`
 * (ends as failed with that reason), `status WORD MESSAGE` (the work-status file), `badstatus`, `answer TEXT`,
 * `usage IN OUT COST`, `session ID`, `deny TOOL`; other lines do nothing. A headless task ends after its last line.
 */
export class FakeTasks implements Tasks {
  readonly #projects: Projects;
  readonly #agents: Agents;
  readonly #tasks = new Map<string, Task>();
  readonly #extras = new Map<string, Extras>();
  /** What each method was asked for. */
  readonly created: CreateTaskInput[] = [];
  readonly followedUp: FollowUpInput[] = [];
  readonly restarted: Array<{ readonly id: string; readonly recreate: boolean | undefined }> = [];
  readonly logRequests: LogRequest[] = [];
  /** Set: `create` waits for it, as for an image that is being built. */
  createGate: Promise<void> | undefined;

  constructor(projects: Projects, agents: Agents) {
    this.#projects = projects;
    this.#agents = agents;
  }

  async create(input: CreateTaskInput, signal?: AbortSignal): Promise<StartedTask> {
    const project = await this.#projectOf(input);
    if (input.mode === 'tool') await this.#agents.tool(input.tool?.name ?? '');
    else await this.#agents.agent(input.agent ?? 'scripted');
    this.created.push(input);
    await this.createGate;
    signal?.throwIfAborted();
    const id = newTaskId();
    const mode = input.mode ?? (input.prompt === undefined ? 'interactive' : 'headless');
    const task: Task = {
      id,
      project: project.id,
      name: input.name ?? `task-${id}`,
      mode,
      agent: mode === 'web' ? 'toad' : (input.tool?.name ?? input.agent ?? 'scripted'),
      restricted: input.restricted ?? false,
      state: 'starting',
      container: `terok-${id}`,
      baseBranch: input.branch ?? 'main',
      webPort: mode === 'web' ? (input.web?.port ?? 18_700) : undefined,
      exitCode: undefined,
      failure: undefined,
      createdAt: new Date().toISOString(),
      startedAt: undefined,
      finishedAt: undefined,
    };
    this.#tasks.set(id, task);
    this.#extras.set(id, { log: [], runs: [], workStatus: undefined, workStatusProblem: undefined });
    if ((input.prompt ?? '').split('\n').includes('fail'))
      throw new Error(`boom with a secret prompt ${input.prompt}`);
    this.#begin(id, input.tool?.args.join('\n') ?? input.prompt);
    const warnings =
      input.model === undefined ? [] : [`scripted has no models: "${input.model}" is left out`];
    return { ...task, warnings, webUrl: mode === 'web' ? await this.#newUrl(id) : undefined };
  }

  async followUp(input: FollowUpInput): Promise<StartedTask> {
    const task = this.get(input.task);
    if (task.mode !== 'headless' || task.finishedAt === undefined)
      throw new ConflictError(`Task ${task.id} cannot be given a prompt: it is ${task.mode}, ${task.state}`, {
        hint: 'Only headless tasks that have ended can.',
      });
    this.followedUp.push(input);
    return { ...this.#restart(task.id, input.prompt), warnings: [], webUrl: undefined };
  }

  async restart(
    id: string,
    { recreate }: { readonly recreate?: boolean | undefined } = {},
  ): Promise<StartedTask> {
    const task = this.get(id);
    if (task.finishedAt === undefined) throw new ConflictError(`Task ${task.id} is ${task.state}`);
    this.restarted.push({ id: task.id, recreate });
    const warnings = recreate === true ? ['The container is a new one'] : [];
    const restarted = this.#restart(task.id, task.mode === 'headless' ? 'say again' : undefined);
    return {
      ...restarted,
      warnings,
      webUrl: task.mode === 'web' ? await this.#newUrl(task.id) : undefined,
    };
  }

  async webUrl(id: string): Promise<string> {
    const task = this.get(id);
    if (task.mode !== 'web' || task.finishedAt !== undefined)
      throw new ConflictError(`Task ${task.id} is no running web task`);
    return await this.#newUrl(task.id);
  }

  list(
    filter: { readonly project?: string | undefined; readonly state?: string | undefined } = {},
  ): readonly Task[] {
    return [...this.#tasks.values()].filter(
      (task) =>
        (filter.project === undefined || task.project === filter.project) &&
        (filter.state === undefined || task.state === filter.state),
    );
  }

  get(id: string): Task {
    const matches = [...this.#tasks.values()].filter((task) => task.id.startsWith(id));
    const [task] = matches;
    if (task === undefined || matches.length > 1) {
      throw new NotFoundError(`No task "${id}"`, { hint: 'list_tasks names them.' });
    }
    return task;
  }

  async report(id: string): Promise<TaskReport> {
    const task = this.get(id);
    const { log, runs, workStatus, workStatusProblem } = this.#extrasOf(task.id);
    return {
      ...task,
      branches: task.mode === 'headless' ? [{ branch: `${task.id}/fix/greeting`, head: HEAD, ahead: 1 }] : [],
      lastOutput: log.slice(-10),
      run: runs.at(-1),
      workStatus,
      workStatusProblem,
      notices: [],
      engineUnreachable: undefined,
    };
  }

  async waitFor(
    id: string,
    options: {
      readonly until: (task: Task) => boolean;
      readonly waitMs: number;
      readonly orWorkStatus?: boolean | undefined;
    },
    signal?: AbortSignal,
  ): Promise<Task> {
    const deadline = Date.now() + options.waitMs;
    const said = () => this.#extras.get(this.get(id).id)?.workStatus?.status ?? '';
    const before = said();
    const hasReported = () =>
      options.orWorkStatus === true && said() !== before && ['done', 'blocked', 'error'].includes(said());
    while (!options.until(this.get(id)) && !hasReported() && Date.now() < deadline)
      await delay(5, undefined, signal === undefined ? {} : { signal });
    return this.get(id);
  }

  /** `raw` lines are told from the others by what stands before them. */
  async logs(request: LogRequest): Promise<LogPage> {
    this.logRequests.push(request);
    const { task: id, cursor, tail, contains, raw } = request;
    const all = this.#extrasOf(this.get(id).id).log;
    const lines = (cursor === undefined ? all.slice(-tail) : all.slice(cursor))
      .filter((line) => line.includes(contains ?? ''))
      .map((line) => (raw === true ? `{"raw":${JSON.stringify(line)}}` : line));
    return { lines, nextCursor: all.length, isComplete: this.get(id).finishedAt !== undefined };
  }

  async transcript(): Promise<TranscriptPage> {
    return { events: [], nextCursor: 0, isComplete: true };
  }

  async stop(id: string): Promise<Task> {
    return this.#change(this.get(id).id, { state: 'stopped', finishedAt: new Date().toISOString() });
  }

  async delete(id: string): Promise<{ readonly archived: readonly string[] }> {
    const task = this.get(id);
    this.#tasks.delete(task.id);
    return { archived: [`refs/terok/archive/${task.id}/fix/greeting`] };
  }

  activeCount(): number {
    return this.list().filter((task) => task.finishedAt === undefined).length;
  }

  async #projectOf({ project, repo }: CreateTaskInput): Promise<Project> {
    if (project !== undefined) return await this.#projects.get(project);
    if (repo !== undefined) return await this.#projects.forRepository(repo);
    throw new InvalidInputError('Neither a project nor a repository');
  }

  async #newUrl(id: string): Promise<string> {
    return `http://127.0.0.1:${this.get(id).webPort}/?token=${newTaskId()}`;
  }

  #restart(id: string, script: string | undefined): Task {
    this.#change(id, {
      state: 'starting',
      exitCode: undefined,
      failure: undefined,
      finishedAt: undefined,
    });
    this.#begin(id, script);
    return this.get(id);
  }

  #begin(id: string, script: string | undefined): void {
    const { mode } = this.get(id);
    const { runs } = this.#extrasOf(id);
    if (mode === 'headless' || mode === 'tool') {
      runs.push({
        number: runs.length + 1,
        createdAt: new Date().toISOString(),
        endedAt: undefined,
        exitCode: undefined,
        failure: undefined,
        session: runs.at(-1)?.session,
        summary: EMPTY_SUMMARY,
      });
    }
    void this.#play(id, mode === 'headless' || mode === 'tool' ? (script ?? '') : undefined);
  }

  #extrasOf(id: string): Extras {
    const extras = this.#extras.get(id);
    if (extras === undefined) throw new Error(`no extras of ${id}`);
    return extras;
  }

  #change(id: string, change: Partial<Task>): Task {
    const task = { ...this.get(id), ...change };
    this.#tasks.set(id, task);
    return task;
  }

  #changeRun(id: string, change: Partial<TaskRun>): void {
    const { runs } = this.#extrasOf(id);
    const run = runs.pop();
    if (run !== undefined) runs.push({ ...run, ...change });
  }

  #summarize(id: string, change: (summary: RunSummary) => Partial<RunSummary>): void {
    const summary = this.#extrasOf(id).runs.at(-1)?.summary ?? EMPTY_SUMMARY;
    this.#changeRun(id, { summary: { ...summary, ...change(summary), events: summary.events + 1 } });
  }

  async #play(id: string, script: string | undefined): Promise<void> {
    await delay(10);
    if (!this.#tasks.has(id)) return;
    this.#change(id, { state: 'running', startedAt: new Date().toISOString() });
    if (script === undefined) return;
    const extras = this.#extrasOf(id);
    let exitCode = 0;
    let failure: string | undefined;
    for (const line of script.slice(0, 10_000).split('\n')) {
      const [word, ...rest] = line.split(' ');
      const text = rest.join(' ');
      if (word === 'say') extras.log.push(text);
      if (word === 'sleep') await delay(Number(text) * 1000, undefined, { ref: false });
      if (word === 'exit') exitCode = Number(text);
      if (word === 'failure') failure = text;
      if (word === 'badstatus') extras.workStatusProblem = 'it is a FIFO';
      if (word === 'status') {
        const [status = '', ...message] = rest;
        extras.workStatus = { status, message: message.join(' '), at: new Date().toISOString() };
      }
      if (word === 'session') this.#changeRun(id, { session: text });
      if (word === 'answer') this.#summarize(id, () => ({ lastMessage: text, turns: 3, result: 'success' }));
      if (word === 'usage') {
        const [inputTokens = 0, outputTokens = 0, costUsd = 0] = rest.map(Number);
        const usage = { inputTokens, cachedInputTokens: 0, outputTokens, costUsd };
        this.#summarize(id, () => ({ usage, toolCalls: 2 }));
      }
      if (word === 'deny')
        this.#summarize(id, ({ denied, deniedCount }) => ({
          denied: [...denied, text],
          deniedCount: deniedCount + 1,
        }));
      if (!this.#tasks.has(id) || this.get(id).finishedAt !== undefined) return;
    }
    const finishedAt = new Date().toISOString();
    this.#changeRun(id, { endedAt: finishedAt, exitCode, failure });
    const isGood = exitCode === 0 && failure === undefined;
    this.#change(id, { state: isGood ? 'completed' : 'failed', exitCode, failure, finishedAt });
    if (!script.includes('cutoff')) return;
    // A follow-up whose daemon ended before it began.
    const [first] = extras.runs;
    if (first !== undefined)
      extras.runs.push({
        ...first,
        number: 2,
        endedAt: '2030-01-01T00:00:00.000Z',
        exitCode: undefined,
        failure: 'it was cut off before it began',
      });
  }
}
