import { CommandError, ConflictError } from '../core/errors.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { splitCredentials, withoutCredentials } from '../core/upstream-url.ts';
import type { Project } from '../projects/contract.ts';
import type { SyncResult } from './contract.ts';
import type { MirrorAccess } from './mirror-access.ts';
import { firstPart, HEADS, OPENED, TAGS, UPSTREAM } from './ref-names.ts';
import { type RefChange, type RefMap, Refs } from './refs.ts';
import type { UpstreamState } from './upstream.ts';

/** Keeps mirrors equal to their upstreams. What agents pushed is in other refs and never touched here. */
export class MirrorSync {
  readonly #access: MirrorAccess;

  constructor(access: MirrorAccess) {
    this.#access = access;
  }

  /** Only one at a time for a project; the caller sees to that. */
  async sync(project: Project, signal?: AbortSignal): Promise<SyncResult> {
    if (await this.#access.mirrors.exists(project.id)) {
      await this.#assertSameUpstream(project);
      return await this.#refresh(project, signal);
    }
    try {
      await this.#clone(project, signal);
    } catch (error) {
      // Nothing is left of a project whose upstream never answered.
      await this.#access.mirrors.keepCredentials(project.id, undefined);
      throw error;
    }
    return await this.#result(project, undefined, signal);
  }

  async #clone(project: Project, signal?: AbortSignal): Promise<void> {
    const state = await this.#access.upstream.query(project, signal);
    const directory = await this.#access.mirrors.begin(project.id);
    try {
      const format = [...state.refs.values()].some((id) => id.length === 64) ? 'sha256' : 'sha1';
      await this.#access.git.run({
        args: [
          'init',
          '--quiet',
          '--bare',
          '--template=',
          '--initial-branch=main',
          `--object-format=${format}`,
          '--end-of-options',
          directory,
        ],
        signal,
      });
      await this.#access.upstream.fetch(project, directory, { signal });
      const refs = new Refs({ git: this.#access.git, gitDir: directory });
      await moveHeads(refs, signal);
      await repointHead(refs, wantedDefault(project, state), signal);
      await refs.pack(signal);
      await this.#access.mirrors.commit(directory, project.id, project.settings.git.upstream_url);
    } catch (error) {
      await this.#access.mirrors.discard(directory);
      throw error;
    }
  }

  async #refresh(project: Project, signal?: AbortSignal): Promise<SyncResult> {
    const gitDir = this.#access.mirrors.path(project.id);
    const refs = new Refs({ git: this.#access.git, gitDir });
    try {
      const state = await this.#access.upstream.query(project, signal);
      if (!holds(await refs.list([UPSTREAM, TAGS], signal), state))
        await this.#access.upstream.fetch(project, gitDir, { signal });
      await this.#access.refLocks.run(project.id, () => moveHeads(refs, signal));
      await repointHead(refs, wantedDefault(project, state), signal);
      return await this.#result(project, undefined, signal);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const details =
        error.details === undefined ? '' : `: ${cleanLine(error.details.split('\n').at(-1) ?? '')}`;
      return await this.#result(project, `${error.message}${details}`, signal);
    }
  }

  async #result(project: Project, stale: string | undefined, signal?: AbortSignal): Promise<SyncResult> {
    const refs = new Refs({ git: this.#access.git, gitDir: this.#access.mirrors.path(project.id) });
    const defaultBranch = await defaultBranchOf(project, refs, signal);
    return { defaultBranch, head: await refs.read(`${HEADS}${defaultBranch}`, signal), stale };
  }

  async #assertSameUpstream(project: Project): Promise<void> {
    const recorded = await this.#access.mirrors.upstreamOf(project.id);
    if (recorded === undefined || recorded === splitCredentials(project.settings.git.upstream_url).url)
      return;
    throw new ConflictError(
      `The gate of "${project.id}" mirrors ${withoutCredentials(cleanLine(recorded))}, not the git.upstream_url of now`,
      {
        hint: `Set it back in ${project.file}; or, when nothing in this gate is needed any more, remove ${this.#access.mirrors.path(project.id)}, and the next task clones anew.`,
      },
    );
  }
}

/** The project's word, else the mirror's HEAD, which follows upstream's. */
export async function defaultBranchOf(project: Project, refs: Refs, signal?: AbortSignal): Promise<string> {
  const configured = project.settings.git.default_branch;
  if (configured !== undefined) return configured;
  const head = await refs.symbolic('HEAD', signal);
  return head?.startsWith(HEADS) === true ? head.slice(HEADS.length) : 'main';
}

function wantedDefault(project: Project, state: UpstreamState): string | undefined {
  return project.settings.git.default_branch ?? state.defaultBranch;
}

/** Nothing to fetch: every branch and tag stands where upstream says, and there are no others. */
function holds(mirror: RefMap, state: UpstreamState): boolean {
  if (mirror.size !== state.refs.size) return false;
  return [...state.refs].every(
    ([ref, id]) => mirror.get(ref.startsWith(HEADS) ? UPSTREAM + ref.slice(HEADS.length) : ref) === id,
  );
}

/** Makes `refs/heads/*` equal to upstream's branches, tasks' own branches aside. */
async function moveHeads(refs: Refs, signal?: AbortSignal): Promise<void> {
  const all = await refs.list([UPSTREAM, HEADS, OPENED], signal);
  const tasks = new Set<string>();
  const wanted = new Map<string, string>();
  for (const [ref, id] of all) {
    if (ref.startsWith(OPENED)) tasks.add(ref.slice(OPENED.length));
    if (ref.startsWith(UPSTREAM)) wanted.set(ref.slice(UPSTREAM.length), id);
  }
  const changes: RefChange[] = [];
  for (const [ref, id] of all) {
    if (!ref.startsWith(HEADS) || tasks.has(firstPart(ref, HEADS) ?? '')) continue;
    if (!wanted.has(ref.slice(HEADS.length))) changes.push({ kind: 'delete', ref, from: id });
  }
  for (const [branch, to] of wanted) {
    const ref = `${HEADS}${branch}`;
    if (tasks.has(firstPart(ref, HEADS) ?? '') || all.get(ref) === to) continue;
    changes.push({ kind: 'set', ref, to });
  }
  await refs.change(changes, signal);
}

/** A HEAD that names a branch which is not there makes clones come out empty. */
async function repointHead(refs: Refs, branch: string | undefined, signal?: AbortSignal): Promise<void> {
  if (branch === undefined) return;
  const target = `${HEADS}${branch}`;
  if ((await refs.symbolic('HEAD', signal)) === target) return;
  if ((await refs.read(target, signal)) !== undefined) await refs.setSymbolic('HEAD', target, signal);
}
