import type { Clock } from '../core/clock.ts';
import type { CommandRunner } from '../core/command.ts';
import { CancelledError } from '../core/errors.ts';
import { KeyedMutex, SingleFlight } from '../core/keyed-mutex.ts';
import type { Logger } from '../core/log.ts';
import type { Project } from '../projects/contract.ts';
import { backendConfig } from './backend-command.ts';
import { BranchReader } from './branch-reader.ts';
import type {
  ArchivedHead,
  Diff,
  DiffRequest,
  Gate,
  GateService,
  OutgoingObject,
  PatchPage,
  PromoteRequest,
  PromotionPlan,
  PromotionResult,
  ServeOptions,
  SyncResult,
  TaskBranch,
  UpstreamKeys,
} from './contract.ts';
import { DEFAULT_GATE_LIMITS, type GateLimits } from './gate-limits.ts';
import { GateServer } from './gate-server.ts';
import type { GitHost } from './git-environment.ts';
import { HostGit } from './host-git.ts';
import { MirrorStore } from './mirror-store.ts';
import { MirrorSync } from './mirror-sync.ts';
import { DEFAULT_OUTGOING_LIMITS, outgoingObjects } from './outgoing-objects.ts';
import { Promotion } from './promotion.ts';
import { TaskRefs } from './task-refs.ts';
import { Upstream } from './upstream.ts';

/** What a task's pushes changed, as people see it. */
export interface PushReport {
  readonly project: string;
  readonly task: string;
  readonly updates: readonly {
    readonly branch: string;
    readonly before: string | undefined;
    readonly after: string | undefined;
  }[];
  /** How many there were: `updates` holds the first, those of branches that stood somewhere before all others. */
  readonly updateCount: number;
  /** Branches of the task that are past the number that is published. */
  readonly unpublished: number;
}

/** Each one becomes part of an event that is kept. */
const MAX_REPORTED = 50;

export interface GitGateDeps {
  /** Directory of the mirrors. */
  readonly gates: string;
  readonly runner: CommandRunner;
  /** Of it, git gets PATH, proxies and certificate locations. */
  readonly env: GitHost['env'];
  readonly clock: Clock;
  readonly log: Logger;
  /** Absent: no upstream is reached over SSH. */
  readonly keys?: UpstreamKeys | undefined;
  /** Called once a published branch has appeared, moved or gone. */
  readonly onPush: (report: PushReport) => void;
  readonly limits?: Partial<GateLimits> | undefined;
}

/** The gate on plain git: joins the parts of this folder. */
export class GitGate implements Gate, AsyncDisposable {
  readonly #deps: GitGateDeps;
  readonly #host: GitHost;
  readonly #git: HostGit;
  readonly #mirrors: MirrorStore;
  readonly #sync: MirrorSync;
  readonly #tasks: TaskRefs;
  readonly #reader: BranchReader;
  readonly #promotion: Promotion;
  readonly #syncFlights = new SingleFlight<SyncResult>();
  readonly #promotions = new KeyedMutex();
  readonly #ending = new AbortController();
  #isPrepared = false;

  constructor(deps: GitGateDeps) {
    this.#deps = deps;
    const refLocks = new KeyedMutex();
    const mirrors = new MirrorStore({ gates: deps.gates });
    this.#host = mirrors.host(deps.env);
    const git = new HostGit({ host: this.#host, runner: deps.runner });
    const upstream = new Upstream({ git, mirrors, keys: deps.keys });
    this.#git = git;
    this.#mirrors = mirrors;
    this.#sync = new MirrorSync({ git, mirrors, upstream, refLocks });
    this.#tasks = new TaskRefs({ git, mirrors, refLocks, clock: deps.clock });
    this.#reader = new BranchReader({ git, mirrors });
    this.#promotion = new Promotion({ git, mirrors, upstream, refLocks });
  }

  path(project: Project): string {
    return this.#mirrors.path(project.id);
  }

  /** Concurrent calls share one exchange with upstream, so one caller's signal ends only that caller's wait. */
  async sync(project: Project, signal?: AbortSignal): Promise<SyncResult> {
    await this.#prepare();
    return await unlessAborted(
      this.#syncFlights.run(project.id, () => this.#sync.sync(project, this.#ending.signal)),
      signal,
    );
  }

  async checkBranch(project: Project, branch: string, signal?: AbortSignal): Promise<void> {
    await this.#prepare();
    await this.#reader.checkBranch(project, branch, signal);
  }

  async openTask(project: Project, task: string, signal?: AbortSignal): Promise<void> {
    await this.#prepare();
    await this.#tasks.open(project, task, signal);
  }

  async serve(options: ServeOptions): Promise<GateService> {
    await this.#prepare();
    const { project, task, socketPath, tokenHash, isReadOnly } = options;
    const limits = { ...DEFAULT_GATE_LIMITS, ...this.#deps.limits };
    return await GateServer.listen(
      {
        socketPath,
        project: project.id,
        task,
        tokenHash,
        isReadOnly,
        limits,
        gates: this.#mirrors.root,
        environment: this.#git.environment({ config: backendConfig(task, limits, { isReadOnly }) }),
        afterPush: () => this.#publish(project, task),
      },
      { runner: this.#deps.runner, log: this.#deps.log, clock: this.#deps.clock },
    );
  }

  async publish(project: Project, task: string, signal?: AbortSignal): Promise<readonly TaskBranch[]> {
    await this.#prepare();
    await this.#publish(project, task, signal);
    return await this.#reader.branches(project, task, signal);
  }

  async branches(project: Project, task?: string, signal?: AbortSignal): Promise<readonly TaskBranch[]> {
    await this.#prepare();
    return await this.#reader.branches(project, task, signal);
  }

  async diff(request: DiffRequest, signal?: AbortSignal): Promise<Diff> {
    await this.#prepare();
    return await this.#reader.diff(request, signal);
  }

  async patch(
    request: DiffRequest & { readonly offset: number; readonly maxChars: number },
    signal?: AbortSignal,
  ): Promise<PatchPage> {
    await this.#prepare();
    return await this.#reader.patch(request, signal);
  }

  async checkHead(request: PromoteRequest, signal?: AbortSignal): Promise<PromotionPlan> {
    await this.#prepare();
    return await this.#promotion.check(request, signal);
  }

  /** One at a time for a project, so that two promotions never race each other to upstream. */
  async promote(request: PromoteRequest, signal?: AbortSignal): Promise<PromotionResult> {
    await this.#prepare();
    return await this.#promotions.run(request.project.id, () => this.#promotion.promote(request, signal));
  }

  async *outgoing(request: PromoteRequest, signal?: AbortSignal): AsyncGenerator<OutgoingObject, void, void> {
    await this.#prepare();
    const { head } = await this.#promotion.check(request, signal);
    const gitDir = this.path(request.project);
    yield* outgoingObjects({ git: this.#git, gitDir, limits: DEFAULT_OUTGOING_LIMITS }, head, signal);
  }

  async isPromoted(request: PromoteRequest, signal?: AbortSignal): Promise<boolean> {
    await this.#prepare();
    return await this.#promotion.isPromoted(request, signal);
  }

  async closeTask(project: Project, task: string, signal?: AbortSignal): Promise<readonly ArchivedHead[]> {
    await this.#prepare();
    await this.#publish(project, task, signal);
    const archived = await this.#tasks.close(project, task, signal);
    await this.#tidy(project);
    return archived;
  }

  async tasksWithRefs(project: Project, signal?: AbortSignal): Promise<readonly string[]> {
    await this.#prepare();
    return await this.#tasks.tasks(project, signal);
  }

  /** Ends exchanges with upstreams that still run. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
  }

  async #publish(project: Project, task: string, signal?: AbortSignal): Promise<void> {
    const { updates, unpublished } = await this.#tasks.publish(project, task, signal);
    if (updates.length === 0) return;
    const told = [
      ...updates.filter(({ before }) => before !== undefined),
      ...updates.filter(({ before }) => before === undefined),
    ].slice(0, MAX_REPORTED);
    this.#deps.onPush({
      project: project.id,
      task,
      updates: told.map(({ name, before, after }) => ({ branch: `${task}/${name}`, before, after })),
      updateCount: updates.length,
      unpublished,
    });
  }

  async #prepare(): Promise<void> {
    if (this.#isPrepared) return;
    await this.#mirrors.prepare(this.#host);
    this.#isPrepared = true;
  }

  /** Does something only once a mirror holds thousands of loose objects; a failure costs space, nothing else. */
  async #tidy(project: Project): Promise<void> {
    if (!(await this.#mirrors.exists(project.id))) return;
    const config = [
      ['gc.auto', '6700'],
      ['gc.autoDetach', 'false'],
    ] as const;
    const call = {
      gitDir: this.path(project),
      config,
      args: ['gc', '--auto', '--quiet'],
      silenceMs: 600_000,
      signal: this.#ending.signal,
    };
    try {
      await this.#mirrors.sweep(project.id);
      await this.#git.run(call);
    } catch (error) {
      this.#deps.log.warn({ err: error, project: project.id }, 'a gate could not be tidied');
    }
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  const cancelled = (): CancelledError => new CancelledError('The wait for the gate was cancelled');
  if (signal.aborted) {
    work.catch(() => undefined);
    throw cancelled();
  }
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(cancelled());
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
