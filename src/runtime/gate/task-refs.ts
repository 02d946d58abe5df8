import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { ConflictError, InvalidInputError } from '../core/errors.ts';
import type { KeyedMutex } from '../core/keyed-mutex.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Project } from '../projects/contract.ts';
import type { ArchivedHead } from './contract.ts';
import type { HostGit } from './host-git.ts';
import type { MirrorStore } from './mirror-store.ts';
import { defaultBranchOf } from './mirror-sync.ts';
import {
  archiveOf,
  backupOf,
  firstPart,
  HEADS,
  namespaceHead,
  namespaceHeads,
  openedMarker,
  publishedHeads,
  refsOfTask,
  seedOf,
  TAGS,
  TASK_PREFIXES,
  UPSTREAM,
} from './ref-names.ts';
import { type Publication, planClosing, planOpening, planPublication } from './ref-plans.ts';
import { Refs } from './refs.ts';

const NOTHING: Publication = { updates: [], wanted: new Map(), unpublished: 0 };

/** The life of a task's refs: its namespace opens, what it pushes is published, and all goes when it closes. */
export class TaskRefs {
  readonly #git: HostGit;
  readonly #mirrors: MirrorStore;
  readonly #refLocks: KeyedMutex;
  readonly #clock: Clock;

  constructor(deps: {
    readonly git: HostGit;
    readonly mirrors: MirrorStore;
    readonly refLocks: KeyedMutex;
    readonly clock: Clock;
  }) {
    this.#git = deps.git;
    this.#mirrors = deps.mirrors;
    this.#refLocks = deps.refLocks;
    this.#clock = deps.clock;
  }

  /** The marker comes last: without it everything is done again, so an interrupted opening heals itself. */
  async open(project: Project, task: string, signal?: AbortSignal): Promise<void> {
    await this.#locked(project, async (refs) => {
      if ((await refs.read(openedMarker(task), signal)) !== undefined) return;
      const defaultBranch = await defaultBranchOf(project, refs, signal);
      const existing = await refs.list([UPSTREAM, TAGS, ...refsOfTask(task), `${HEADS}${task}`], signal);
      const start = existing.get(`${UPSTREAM}${defaultBranch}`);
      if (start === undefined) throw noStart(project, defaultBranch, existing);
      await refs.change(planOpening(task, existing), signal);
      await refs.setSymbolic(namespaceHead(task), `${namespaceHeads(task)}${defaultBranch}`, signal);
      await refs.change([{ kind: 'set', ref: openedMarker(task), to: start }], signal);
    });
  }

  /** Makes `refs/heads/<task>/*` say what the namespace says. Runs as often as one likes. */
  async publish(project: Project, task: string, signal?: AbortSignal): Promise<Publication> {
    if (!(await this.#mirrors.exists(project.id))) return NOTHING;
    return await this.#locked(project, async (refs) => {
      if ((await refs.read(openedMarker(task), signal)) === undefined) return NOTHING;
      const existing = await refs.listCommits(
        [namespaceHeads(task), seedOf(task), publishedHeads(task)],
        signal,
      );
      const publication = planPublication(task, existing);
      const { updates } = publication;
      const lost = await this.#lost(refs, task, publication, signal);
      const backup = backupOf(task, this.#stamp());
      await refs.change(
        [...lost].map(([name, to]) => ({ kind: 'create', ref: `${backup}${name}`, to })),
        signal,
      );
      await refs.change(
        updates.map(({ name, before, after }) => {
          const ref = `${publishedHeads(task)}${name}`;
          if (after === undefined) return { kind: 'delete', ref, from: before };
          return before === undefined
            ? { kind: 'create', ref, to: after }
            : { kind: 'set', ref, to: after, from: before };
        }),
        signal,
      );
      return publication;
    });
  }

  /** Archive first, marker last: interrupted anywhere, a second call finishes it and loses nothing. */
  async close(project: Project, task: string, signal?: AbortSignal): Promise<readonly ArchivedHead[]> {
    if (!(await this.#mirrors.exists(project.id))) return [];
    return await this.#locked(project, async (refs) => {
      const existing = await refs.list([...refsOfTask(task), archiveOf(task)], signal);
      const archived: ArchivedHead[] = [];
      const plan = planClosing(task, existing);
      const upstream = await refs.list([UPSTREAM], signal);
      const kept = await refs.reachable(
        [namespaceHeads(task), publishedHeads(task)],
        upstream.values(),
        signal,
      );
      const parents = parentsOf(existing.keys());
      for (const { name, head } of plan.heads) {
        if (kept.has(head)) continue;
        archived.push({ ref: freeName(`${archiveOf(task)}${name}`, head, { existing, parents }), head });
      }
      await refs.change(
        archived.map(({ ref, head }) => ({ kind: 'set', ref, to: head })),
        signal,
      );
      await refs.deleteSymbolic(namespaceHead(task), signal);
      await refs.change(plan.removals, signal);
      await refs.change(plan.marker, signal);
      return archived;
    });
  }

  async tasks(project: Project, signal?: AbortSignal): Promise<readonly string[]> {
    if (!(await this.#mirrors.exists(project.id))) return [];
    const existing = await this.#refs(project).list(TASK_PREFIXES, signal);
    const tasks = [...existing.keys()].flatMap((ref) =>
      TASK_PREFIXES.map((prefix) => firstPart(ref, prefix)),
    );
    return [...new Set(tasks.filter((task) => task !== undefined))].sort();
  }

  /** Commits, by branch, that nothing would lead to once the branches have gone on without them. */
  async #lost(
    refs: Refs,
    task: string,
    { updates, wanted }: Publication,
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const left = updates.flatMap(({ name, before }) =>
      before === undefined ? [] : [[name, before] as const],
    );
    if (left.length === 0) return new Map();
    const upstream = await refs.list([UPSTREAM], signal);
    // The published branches still stand where they will have stood before.
    const kept = await refs.reachable(
      [publishedHeads(task)],
      [...upstream.values(), ...wanted.values()],
      signal,
    );
    return new Map(left.filter(([, before]) => !kept.has(before)));
  }

  #stamp(): string {
    const moment = this.#clock.now().toISOString().replace(/[-:.]/g, '');
    return `${moment}-${randomBytes(3).toString('hex')}`;
  }

  async #locked<T>(project: Project, operation: (refs: Refs) => Promise<T>): Promise<T> {
    return await this.#refLocks.run(project.id, () => operation(this.#refs(project)));
  }

  #refs(project: Project): Refs {
    return new Refs({ git: this.#git, gitDir: this.#mirrors.path(project.id) });
  }
}

/** An archive may hold an earlier head of that name (a task id that came twice): neither replaces the other. */
function freeName(
  ref: string,
  head: string,
  {
    existing,
    parents,
  }: { readonly existing: ReadonlyMap<string, string>; readonly parents: ReadonlySet<string> },
): string {
  const there = existing.get(ref);
  const isTaken = there !== undefined && there !== head;
  const isBlocked = parents.has(ref) || [...parentsOf([ref])].some((parent) => existing.has(parent));
  return isTaken || isBlocked ? `${ref}-${head.slice(0, 12)}` : ref;
}

/** `a/b/c` has the parents `a/b` and `a`: where one is a ref, the other cannot be. */
function parentsOf(refs: Iterable<string>): ReadonlySet<string> {
  const parents = new Set<string>();
  for (const ref of refs) {
    for (let slash = ref.lastIndexOf('/'); slash > 0; slash = ref.lastIndexOf('/', slash - 1)) {
      const parent = ref.slice(0, slash);
      if (parents.has(parent)) break;
      parents.add(parent);
    }
  }
  return parents;
}

function noStart(project: Project, defaultBranch: string, existing: ReadonlyMap<string, string>): Error {
  const branches = [...existing.keys()]
    .filter((ref) => ref.startsWith(UPSTREAM))
    .map((ref) => ref.slice(UPSTREAM.length));
  if (branches.length === 0) {
    return new ConflictError(`The upstream of "${project.id}" has no commits yet`, {
      hint: 'Push a first commit to it (an empty one will do), then create the task again.',
    });
  }
  const near = nearestNames(defaultBranch, branches);
  return new InvalidInputError(`The upstream of "${project.id}" has no branch "${defaultBranch}"`, {
    hint: `Set git.default_branch in ${project.file} to one it has: ${(near.length > 0 ? near : branches.slice(0, 5)).join(', ')}.`,
  });
}
