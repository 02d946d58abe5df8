import { z } from 'zod';
import type { Approval, Approvals } from '../approvals/contract.ts';
import { assertNever, ConflictError, PolicyError, RuntimeError } from '../core/errors.ts';
import type { EventActor, EventLog, RecordedEvent } from '../core/event-log.ts';
import type {
  Diff,
  Gate,
  PatchPage,
  PromoteRequest,
  PromotionPlan,
  PromotionResult,
  TaskBranch,
} from '../gate/contract.ts';
import type { Project, Projects } from '../projects/contract.ts';
import type { PromoteInput, PromoteOutcome, Review } from './contract.ts';
import { assertNoLeak, type LeakCheckDeps, LeakFoundError } from './leak-check.ts';
import { type PromotionSubject, readSubject, renderSubject } from './promotion-subject.ts';

const NOT_SHOWN = '[not shown]';

/** Data of the event `gate.pushed`. */
const PushedData = z.object({
  updates: z.array(z.object({ branch: z.string(), after: z.string().optional() })),
});

/** Data of the event `promotion.pushed`. */
const PromotedData = z.object({
  branch: z.string(),
  head: z.string(),
  target: z.string(),
  previous: z.string().optional(),
});

/**
 * Review of what came back, and promotion of it. Nothing is pushed that is not, at that moment, the very
 * commit that was reviewed: the gate checks that, also when an approval comes hours later.
 */
export class ReviewService implements Review, Disposable {
  readonly #projects: Projects;
  readonly #gate: Gate;
  readonly #approvals: Approvals;
  readonly #events: EventLog;
  readonly #leakCheck: LeakCheckDeps;
  readonly #unsubscribe: () => void;

  constructor(deps: {
    readonly projects: Projects;
    readonly gate: Gate;
    readonly approvals: Approvals;
    readonly events: EventLog;
    readonly vault: LeakCheckDeps['vault'];
  }) {
    this.#projects = deps.projects;
    this.#gate = deps.gate;
    this.#approvals = deps.approvals;
    this.#events = deps.events;
    this.#leakCheck = { gate: deps.gate, vault: deps.vault };
    this.#approvals.onApproved('promotion', (approval, signal) => this.#carryOut(approval, signal));
    this.#unsubscribe = this.#events.subscribe((event) => this.#voidOutdated(event));
  }

  async branches(project: string, task?: string, signal?: AbortSignal): Promise<readonly TaskBranch[]> {
    return await this.#gate.branches(await this.#projects.get(project), task, signal);
  }

  async diff(
    input: {
      readonly project: string;
      readonly branch: string;
      readonly base?: string | undefined;
      readonly target?: string | undefined;
    },
    signal?: AbortSignal,
  ): Promise<Diff> {
    return await this.#gate.diff({ ...input, project: await this.#projects.get(input.project) }, signal);
  }

  async patch(
    input: {
      readonly project: string;
      readonly branch: string;
      readonly base?: string | undefined;
      readonly offset: number;
      readonly maxChars: number;
    },
    signal?: AbortSignal,
  ): Promise<PatchPage> {
    return await this.#gate.patch({ ...input, project: await this.#projects.get(input.project) }, signal);
  }

  async promote(input: PromoteInput, signal?: AbortSignal): Promise<PromoteOutcome> {
    const project = await this.#projects.get(input.project);
    assertPromotable(project);
    const request: PromoteRequest = { ...input, project };
    const plan = await this.#gate.checkHead(request, signal);
    const { approval } = project.settings.promotion;
    switch (approval) {
      case 'supervisor':
        return promoted(await this.#push(request, plan, 'client', signal));
      case 'human': {
        const earlier = await this.#earlier(request, plan, signal);
        if (earlier !== undefined) return earlier;
        // Before a person is asked, and once more before the push: what the vault holds may change meanwhile.
        await this.#recordingRefusal({ request, plan, actor: 'client' }, () =>
          assertNoLeak(this.#leakCheck, request, signal),
        );
        return this.#park(request, plan);
      }
      case 'disabled':
        throw new PolicyError(`Promotions are disabled for "${project.id}"`);
      default:
        return assertNever(approval);
    }
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #park({ project, branch }: PromoteRequest, plan: PromotionPlan): PromoteOutcome {
    const { target, head } = plan;
    const subject = renderSubject({ branch, head, target });
    const isNew = !this.#approvals
      .list({ pendingOnly: true })
      .some((one) => one.kind === 'promotion' && one.project === project.id && one.subject === subject);
    const approval = this.#approvals.request({
      kind: 'promotion',
      project: project.id,
      subject,
      summary: `Push ${branch} (${head.slice(0, 12)}) of ${project.id} to ${target} of upstream: "${plan.subject}"`,
      requestedBy: 'client',
      lifetimeMs: project.settings.promotion.expires_minutes * 60_000,
    });
    if (isNew)
      this.#record('promotion.requested', 'client', {
        project,
        plan,
        branch,
        more: { approval: approval.id },
      });
    return {
      outcome: 'awaiting_approval',
      approval: approval.id,
      expiresAt: approval.expiresAt,
      target,
      head,
    };
  }

  /** The same promotion, approved and pushed before, and still in upstream: nothing is pushed to find out. */
  async #earlier(
    request: PromoteRequest,
    plan: PromotionPlan,
    signal?: AbortSignal,
  ): Promise<PromoteOutcome | undefined> {
    const pushed = this.#events
      .forTask(plan.task, { kinds: ['promotion.pushed'], limit: 1000 })
      .map((event) => PromotedData.safeParse(event.data).data)
      .findLast(
        (data) => data?.branch === request.branch && data.head === plan.head && data.target === plan.target,
      );
    if (pushed === undefined || !(await this.#gate.isPromoted(request, signal))) return undefined;
    return { outcome: 'promoted', target: plan.target, head: plan.head, previous: pushed.previous };
  }

  async #carryOut(approval: Approval, signal?: AbortSignal): Promise<string> {
    const subject = readSubject(approval.subject);
    if (subject === undefined)
      throw new ConflictError(`The request ${approval.id} was made by another release`);
    const project = await this.#projects.get(approval.project);
    assertPromotable(project);
    const request: PromoteRequest = { project, ...subject };
    const plan = await this.#gate.checkHead(request, signal);
    const result = await this.#push(request, plan, 'person', signal);
    const before = result.previous === undefined ? 'a new branch' : `before: ${result.previous.slice(0, 12)}`;
    return result.alreadyThere
      ? `${result.target} of upstream had it already`
      : `pushed ${result.head.slice(0, 12)} to ${result.target} (${before})`;
  }

  async #push(
    request: PromoteRequest,
    plan: PromotionPlan,
    actor: EventActor,
    signal?: AbortSignal,
  ): Promise<PromotionResult> {
    return await this.#recordingRefusal({ request, plan, actor }, async () => {
      await assertNoLeak(this.#leakCheck, request, signal);
      const result = await this.#gate.promote(request, signal);
      const previous = result.previous === undefined ? {} : { previous: result.previous };
      this.#record('promotion.pushed', actor, {
        project: request.project,
        plan,
        branch: request.branch,
        more: { ...previous, alreadyThere: result.alreadyThere },
      });
      return result;
    });
  }

  async #recordingRefusal<T>(
    {
      request,
      plan,
      actor,
    }: {
      readonly request: PromoteRequest;
      readonly plan: PromotionPlan;
      readonly actor: EventActor;
    },
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RuntimeError) {
        const isHidden = error instanceof LeakFoundError && error.isInName;
        this.#record('promotion.refused', actor, {
          project: request.project,
          plan: isHidden ? { ...plan, target: NOT_SHOWN } : plan,
          branch: isHidden ? NOT_SHOWN : request.branch,
          more: { code: error.code, reason: error.message },
        });
      }
      throw error;
    }
  }

  #record(
    kind: string,
    actor: EventActor,
    what: {
      readonly project: Project;
      readonly plan: PromotionPlan;
      readonly branch: string;
      readonly more: Readonly<Record<string, unknown>>;
    },
  ): void {
    const { head, target, task } = what.plan;
    const subject: PromotionSubject = { branch: what.branch, head, target };
    this.#events.record({ project: what.project.id, task, actor, kind, data: { ...subject, ...what.more } });
  }

  /** A parked promotion is about one commit: when its branch goes on or its task goes, it is about nothing. */
  #voidOutdated(event: RecordedEvent): void {
    if (event.kind === 'task.deleted' && event.task !== undefined) {
      const prefix = `${event.task}/`;
      this.#void(event.project, (subject) => subject.branch.startsWith(prefix), 'the task was deleted');
    }
    if (event.kind !== 'gate.pushed') return;
    const updates = PushedData.safeParse(event.data).data?.updates ?? [];
    const moved = new Map(updates.map(({ branch, after }) => [branch, after]));
    this.#void(
      event.project,
      ({ branch, head }) => moved.has(branch) && moved.get(branch) !== head,
      'the branch moved after it was reviewed',
    );
  }

  #void(
    project: string | undefined,
    isOutdated: (subject: PromotionSubject) => boolean,
    outcome: string,
  ): void {
    const isVoid = (approval: Approval): boolean => {
      const subject = readSubject(approval.subject);
      return approval.project === project && subject !== undefined && isOutdated(subject);
    };
    this.#approvals.voidWhere('promotion', isVoid, outcome);
  }
}

function assertPromotable(project: Project): void {
  if (project.settings.promotion.approval !== 'disabled') return;
  throw new PolicyError(`Promotions are disabled for "${project.id}"`, {
    hint: `A person can change promotion.approval in ${project.file}, or fetch the branch from the gate by hand.`,
  });
}

function promoted({ target, head, previous }: PromotionResult): PromoteOutcome {
  return { outcome: 'promoted', target, head, previous };
}
