import { branchNameProblem } from '../core/branch-name.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../core/errors.ts';
import { didYouMean, quoted } from '../core/nearest.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { Project } from '../projects/contract.ts';
import {
  type Diff,
  type DiffRequest,
  MAX_LISTED_BRANCHES,
  type PatchPage,
  type TaskBranch,
} from './contract.ts';
import { DiffParser } from './diff-parser.ts';
import type { HostGit } from './host-git.ts';
import type { MirrorStore } from './mirror-store.ts';
import { defaultBranchOf } from './mirror-sync.ts';
import { HEADS, OPENED, publishedHeads, UPSTREAM } from './ref-names.ts';
import { Refs } from './refs.ts';
import { TextWindow } from './text-window.ts';

const MAX_FILES = 300;
const MAX_COMMITS = 100;
const READ_TIMEOUT_MS = 120_000;
const COUNT_CACHE_SIZE = 2000;

interface Range {
  readonly branch: string;
  readonly head: string;
  readonly base: string;
  readonly baseHead: string;
  /** Where the branch left the base; the empty tree when they share nothing. */
  readonly from: string;
}

interface Counts {
  readonly ahead: number;
  readonly behind: number;
}

/** Answers questions about what tasks pushed. Reads commits only: no file of theirs is checked out or run. */
export class BranchReader {
  readonly #git: HostGit;
  readonly #mirrors: MirrorStore;
  /** Two commits always relate the same way. */
  readonly #counts = new Map<string, Counts>();

  constructor(deps: { readonly git: HostGit; readonly mirrors: MirrorStore }) {
    this.#git = deps.git;
    this.#mirrors = deps.mirrors;
  }

  async branches(project: Project, task?: string, signal?: AbortSignal): Promise<readonly TaskBranch[]> {
    if (!(await this.#mirrors.exists(project.id))) return [];
    const refs = this.#refs(project);
    const tasks = task === undefined ? [...(await refs.under(OPENED, signal)).keys()] : [task];
    if (tasks.length === 0) return [];
    const all = await refs.list(tasks.map(publishedHeads), signal);
    const heads = new Map([...all].slice(0, MAX_LISTED_BRANCHES));
    if (heads.size === 0) return [];
    const base = await refs.read(`${HEADS}${await defaultBranchOf(project, refs, signal)}`, signal);
    const subjects = await this.#subjects(project, [...heads.values()], signal);
    const branches: TaskBranch[] = [];
    for (const [ref, head] of heads) {
      const branch = ref.slice(HEADS.length);
      const counts =
        base === undefined ? { ahead: 0, behind: 0 } : await this.#count(project, base, head, signal);
      branches.push({
        branch,
        task: branch.slice(0, branch.indexOf('/')),
        head,
        subject: subjects.get(head) ?? '',
        ...counts,
      });
    }
    return branches;
  }

  async checkBranch(project: Project, branch: string, signal?: AbortSignal): Promise<void> {
    const problem = branchNameProblem(branch);
    if (problem !== undefined) {
      throw new InvalidInputError(`The branch name "${cleanLine(branch)}" ${problem}`);
    }
    const refs = this.#refs(project);
    if ((await refs.read(`${UPSTREAM}${branch}`, signal)) !== undefined) return;
    const known = [...(await refs.under(UPSTREAM, signal)).keys()];
    const listed = known.slice(0, 20).map((name) => cleanLine(name, 64));
    throw new NotFoundError(`The repository of "${project.id}" has no branch "${cleanLine(branch)}"`, {
      hint: didYouMean(branch, known, `It has: ${listed.join(', ') || 'none'}.`, quoted),
    });
  }

  async diff(request: DiffRequest, signal?: AbortSignal): Promise<Diff> {
    const { project } = request;
    const range = await this.#range(request, signal);
    const parser = new DiffParser({ maxFiles: MAX_FILES });
    await this.#git.read(
      { ...this.#call(project), args: diffArgs(range, ['--raw', '--no-abbrev', '--numstat', '-z']), signal },
      (text) => {
        parser.push(text);
        return true;
      },
    );
    const { ahead: commitCount } = await this.#count(project, range.baseHead, range.head, signal);
    return {
      branch: range.branch,
      head: range.head,
      base: range.base,
      baseHead: range.baseHead,
      commits: await this.#commits(project, range, signal),
      commitCount,
      files: parser.files,
      fileCount: parser.fileCount,
    };
  }

  async patch(
    request: DiffRequest & { readonly offset: number; readonly maxChars: number },
    signal?: AbortSignal,
  ): Promise<PatchPage> {
    if (
      !Number.isSafeInteger(request.offset) ||
      request.offset < 0 ||
      !Number.isSafeInteger(request.maxChars) ||
      request.maxChars < 1
    ) {
      throw new InvalidInputError(
        'The offset must be 0 or more and the length 1 or more, both whole numbers',
      );
    }
    const range = await this.#range(request, signal);
    const window = new TextWindow(request);
    await this.#git.read(
      { ...this.#call(request.project), args: diffArgs(range, ['--patch', '--no-color']), signal },
      (text) => {
        window.push(text);
        return true;
      },
    );
    return { head: range.head, base: range.base, ...window.finish() };
  }

  async #range({ project, branch, base, target }: DiffRequest, signal?: AbortSignal): Promise<Range> {
    const refs = this.#refs(project);
    if (!(await this.#mirrors.exists(project.id))) {
      throw new NotFoundError(`The project "${project.id}" has no gate yet`, {
        hint: 'Its first task makes one.',
      });
    }
    const head = await this.#head(project, branch, signal);
    // Upstream's own ref: below refs/heads/ a task's branch could stand under the target's name.
    const targetHead =
      base !== undefined || target === undefined || branchNameProblem(target) !== undefined
        ? undefined
        : await refs.read(`${UPSTREAM}${target}`, signal);
    const against =
      (targetHead === undefined ? base : target) ?? (await defaultBranchOf(project, refs, signal));
    const baseHead = targetHead ?? (await this.#head(project, against, signal));
    const merge = await this.#git.run({
      gitDir: this.#mirrors.path(project.id),
      args: ['merge-base', baseHead, head],
      okCodes: [0, 1],
      signal,
    });
    const from = merge.exitCode === 0 ? (merge.stdout.split('\n')[0] ?? '') : emptyTree(head);
    return { branch, head, base: against, baseHead, from };
  }

  async #head(project: Project, branch: string, signal?: AbortSignal): Promise<string> {
    const refs = this.#refs(project);
    const head =
      branchNameProblem(branch) === undefined ? await refs.read(`${HEADS}${branch}`, signal) : undefined;
    if (head !== undefined) return head;
    const known = [...(await refs.under(HEADS, signal)).keys()];
    const rule = 'A task\'s branches are named "<task>/<branch>" and appear when the task pushes.';
    throw new NotFoundError(`The gate of "${project.id}" has no branch "${cleanLine(branch)}"`, {
      hint: didYouMean(branch, known, rule, quoted),
    });
  }

  /** Cut by git itself: a subject may be as long as a push. */
  async #subjects(
    project: Project,
    heads: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const subjects = new Map<string, string>();
    const args = ['log', '--no-walk=unsorted', '--stdin', '-z', '--format=%H %<(200,trunc)%s'];
    const input = `${[...new Set(heads)].join('\n')}\n`;
    for (const record of (
      await this.#git.text({ gitDir: this.#mirrors.path(project.id), args, input, signal })
    ).split('\0')) {
      const space = record.indexOf(' ');
      if (space > 0) subjects.set(record.slice(0, space), cleanLine(record.slice(space + 1).trimEnd(), 200));
    }
    return subjects;
  }

  async #commits(project: Project, range: Range, signal?: AbortSignal): Promise<Diff['commits']> {
    const format = '--format=%H%n%<(100,trunc)%an%n%<(200,trunc)%s';
    const args = [
      'log',
      `--max-count=${MAX_COMMITS}`,
      '-z',
      format,
      '--end-of-options',
      `${range.baseHead}..${range.head}`,
      '--',
    ];
    const output = await this.#git.text({ gitDir: this.#mirrors.path(project.id), args, signal });
    return output
      .split('\0')
      .filter((record) => record !== '')
      .map((record) => {
        const [id = '', author = '', ...subject] = record.split('\n');
        return {
          id,
          author: cleanLine(author.trimEnd(), 100),
          subject: cleanLine(subject.join(' ').trimEnd(), 200),
        };
      });
  }

  async #count(project: Project, base: string, head: string, signal?: AbortSignal): Promise<Counts> {
    const key = `${base} ${head}`;
    const known = this.#counts.get(key);
    if (known !== undefined) return known;
    const args = ['rev-list', '--count', '--left-right', '--end-of-options', `${base}...${head}`, '--'];
    const [behind = '', ahead = ''] = (
      await this.#git.text({ gitDir: this.#mirrors.path(project.id), args, signal })
    )
      .trim()
      .split('\t');
    const counts = { ahead: Number(ahead), behind: Number(behind) };
    if (!Number.isFinite(counts.ahead + counts.behind))
      throw new ConflictError('git gave no count of commits');
    if (this.#counts.size >= COUNT_CACHE_SIZE) this.#counts.clear();
    this.#counts.set(key, counts);
    return counts;
  }

  #call(project: Project): { readonly gitDir: string; readonly timeoutMs: number } {
    return { gitDir: this.#mirrors.path(project.id), timeoutMs: READ_TIMEOUT_MS };
  }

  #refs(project: Project): Refs {
    return new Refs({ git: this.#git, gitDir: this.#mirrors.path(project.id) });
  }
}

/** The tree without entries has the same id everywhere: one for SHA-1, one for SHA-256. */
const emptyTree = (like: string): string =>
  like.length === 40
    ? '4b825dc642cb6eb9a060e54bf8d69288fbee4904'
    : '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321';

/** Nothing that attributes or a configuration could name is run to make the text. */
export function diffArgs(
  range: { readonly from: string; readonly head: string },
  format: readonly string[],
): readonly string[] {
  return [
    'diff',
    ...format,
    '--no-ext-diff',
    '--no-textconv',
    '--find-renames',
    '--ignore-submodules=none',
    '--submodule=short',
    '--end-of-options',
    range.from,
    range.head,
    '--',
  ];
}
