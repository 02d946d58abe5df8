import { branchNameProblem } from '../core/branch-name.ts';
import { CommandError, ConflictError, InvalidInputError, NotFoundError } from '../core/errors.ts';
import { CommitId } from '../core/ids.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { Project } from '../projects/contract.ts';
import type { PromoteRequest, PromotionPlan, PromotionResult } from './contract.ts';
import type { MirrorAccess } from './mirror-access.ts';
import { HEADS, openedMarker, promotedOf, splitBranch, UPSTREAM } from './ref-names.ts';
import { Refs } from './refs.ts';

/** Lets one reviewed commit on to the upstream. */
export class Promotion {
  readonly #access: MirrorAccess;

  constructor(access: MirrorAccess) {
    this.#access = access;
  }

  async check(request: PromoteRequest, signal?: AbortSignal): Promise<PromotionPlan> {
    const { project, branch, head } = request;
    if (!CommitId.safeParse(head).success) {
      throw new InvalidInputError(`"${cleanLine(head, 80)}" is no full commit id`, {
        hint: 'Give all 40 (or 64) lower-case hexadecimal digits of the commit that was reviewed, as the diff shows them.',
      });
    }
    const parts = splitBranch(branch);
    const refs = this.#refs(project);
    const isTasks =
      parts !== undefined &&
      (await this.#access.mirrors.exists(project.id)) &&
      (await refs.read(openedMarker(parts.task), signal)) !== undefined;
    const current = isTasks ? await refs.read(`${HEADS}${branch}`, signal) : undefined;
    if (parts === undefined || current === undefined) {
      throw new NotFoundError(`No task of "${project.id}" has a branch "${cleanLine(branch)}"`, {
        hint: 'Branches to promote are named "<task>/<branch>"; ask for the list of branches.',
      });
    }
    const target = request.target ?? parts.name;
    const problem = branchNameProblem(target);
    if (problem !== undefined)
      throw new InvalidInputError(`The target branch "${cleanLine(target)}" ${problem}`);
    if (current !== head) {
      throw new ConflictError(`"${branch}" is at ${current} now, not at the reviewed ${head}`, {
        hint: 'Review the difference again and promote the commit it shows.',
      });
    }
    return { target, head, task: parts.task, subject: await this.#subject(project, head, signal) };
  }

  async promote(request: PromoteRequest, signal?: AbortSignal): Promise<PromotionResult> {
    const { project } = request;
    const { target, head, task } = await this.check(request, signal);
    const gitDir = this.#access.mirrors.path(project.id);
    const { previous, isThere } = await this.#standing(project, { target, head }, signal);
    if (!isThere) {
      if (previous !== undefined && !(await this.#refs(project).isAncestor(previous, head, signal))) {
        throw new ConflictError(
          `Upstream's "${target}" has commits that ${head.slice(0, 12)} does not contain; nothing was pushed`,
          {
            hint: 'Have the work rebased or merged onto the current upstream, review the result, and promote that commit.',
          },
        );
      }
      await this.#access.upstream.push(project, gitDir, { head, target }, signal);
    }
    // From here on upstream has it: a signal must not keep us from knowing that.
    await this.#access.refLocks.run(project.id, () =>
      this.#record(project, { branch: request.branch, task, target, head, isThere }),
    );
    return { target, head, previous, alreadyThere: isThere };
  }

  /** Whether upstream's target contains the commit, asked of upstream now. */
  async isPromoted(request: PromoteRequest, signal?: AbortSignal): Promise<boolean> {
    const { target, head } = await this.check(request, signal);
    return (await this.#standing(request.project, { target, head }, signal)).isThere;
  }

  async #standing(
    project: Project,
    { target, head }: { readonly target: string; readonly head: string },
    signal?: AbortSignal,
  ) {
    const gitDir = this.#access.mirrors.path(project.id);
    const state = await this.#access.upstream.query(project, signal, [`${HEADS}${target}`]);
    const previous = state.refs.get(`${HEADS}${target}`);
    if (previous === undefined) return { previous, isThere: false };
    const refs = this.#refs(project);
    if (!(await refs.hasObject(previous, signal)))
      await this.#access.upstream.fetch(project, gitDir, { branch: target, signal });
    return { previous, isThere: await refs.isAncestor(head, previous, signal) };
  }

  async #record(
    project: Project,
    done: {
      readonly branch: string;
      readonly task: string;
      readonly target: string;
      readonly head: string;
      readonly isThere: boolean;
    },
  ): Promise<void> {
    const refs = this.#refs(project);
    const name = done.branch.slice(done.task.length + 1);
    const isTasksPlace = (await refs.read(openedMarker(done.target.split('/')[0] ?? ''))) !== undefined;
    await refs.change([{ kind: 'set', ref: `${promotedOf(done.task)}${name}`, to: done.head }]);
    if (done.isThere) return;
    const moved = [`${UPSTREAM}${done.target}`, ...(isTasksPlace ? [] : [`${HEADS}${done.target}`])];
    // Fails where the mirror still has a branch in the way that upstream no longer has; the next sync sees to it.
    await refs.change(moved.map((ref) => ({ kind: 'set', ref, to: done.head }))).catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
    });
  }

  async #subject(project: Project, head: string, signal?: AbortSignal): Promise<string> {
    const args = ['log', '--no-walk', '--format=%<(200,trunc)%s', '--end-of-options', head, '--'];
    return cleanLine(
      (await this.#access.git.text({ gitDir: this.#access.mirrors.path(project.id), args, signal })).trim(),
      200,
    );
  }

  #refs(project: Project): Refs {
    return new Refs({ git: this.#access.git, gitDir: this.#access.mirrors.path(project.id) });
  }
}
