import type { HostGit } from './host-git.ts';

/** Commit (or tag) ids by full ref name. */
export type RefMap = ReadonlyMap<string, string>;

export type RefChange =
  | {
      readonly kind: 'set';
      readonly ref: string;
      readonly to: string /** Throws when the ref is elsewhere by then. */;
      readonly from?: string | undefined;
    }
  | { readonly kind: 'create'; readonly ref: string; readonly to: string }
  | { readonly kind: 'delete'; readonly ref: string; readonly from?: string | undefined };

const PACK_FROM = 200;
/** Well within what the arguments of one process may hold. */
const COMMITS_PER_WALK = 5000;

/** Reading and changing refs of one mirror. */
export class Refs {
  readonly #git: HostGit;
  readonly #gitDir: string;

  constructor(deps: { readonly git: HostGit; readonly gitDir: string }) {
    this.#git = deps.git;
    this.#gitDir = deps.gitDir;
  }

  /** All refs below the prefixes (each ends with "/") and those that equal one. */
  async list(prefixes: readonly string[], signal?: AbortSignal): Promise<RefMap> {
    return new Map((await this.#listed(prefixes, signal)).map(({ ref, id }) => [ref, id]));
  }

  /** Those of them that can be branches: a namespace may hold a blob under `refs/heads/`, a branch may not. */
  async listCommits(prefixes: readonly string[], signal?: AbortSignal): Promise<RefMap> {
    const listed = await this.#listed(prefixes, signal);
    return new Map(listed.filter(({ type }) => type === 'commit').map(({ ref, id }) => [ref, id]));
  }

  async #listed(
    prefixes: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly { readonly ref: string; readonly id: string; readonly type: string }[]> {
    const output = await this.#git.text({
      gitDir: this.#gitDir,
      args: [
        'for-each-ref',
        '--format=%(objectname) %(objecttype) %(refname) %(symref)',
        ...prefixes.map((prefix) => prefix.replace(/\/$/, '')),
      ],
      signal,
    });
    return output.split('\n').flatMap((line) => {
      const [id, type, ref, symref] = line.split(' ');
      // A symbolic ref (a namespace's HEAD) has no position of its own.
      return id !== undefined && type !== undefined && ref !== undefined && symref === ''
        ? [{ ref, id, type }]
        : [];
    });
  }

  /** The branches below one prefix, by the rest of their names. */
  async under(prefix: string, signal?: AbortSignal): Promise<RefMap> {
    const refs = await this.list([prefix], signal);
    return new Map([...refs].map(([ref, id]) => [ref.slice(prefix.length), id]));
  }

  async read(ref: string, signal?: AbortSignal): Promise<string | undefined> {
    const call = {
      gitDir: this.#gitDir,
      args: ['rev-parse', '--verify', '--quiet', '--end-of-options', ref],
      okCodes: [0, 1],
      signal,
    };
    const { stdout, exitCode } = await this.#git.run(call);
    return exitCode === 0 ? stdout.trim() : undefined;
  }

  /**
   * One transaction: all of it or nothing (short of a crash, after which the caller runs again). Deletions
   * go first in one of their own: git cannot free `a` and create `a/b` in one.
   */
  async change(changes: readonly RefChange[], signal?: AbortSignal): Promise<void> {
    await this.#transaction(
      changes.filter((change) => change.kind === 'delete'),
      signal,
    );
    await this.#transaction(
      changes.filter((change) => change.kind !== 'delete'),
      signal,
    );
  }

  async #transaction(changes: readonly RefChange[], signal?: AbortSignal): Promise<void> {
    if (changes.length === 0) return;
    const lines = changes.map((change) => {
      if (change.kind === 'create') return `create ${change.ref} ${change.to}`;
      if (change.kind === 'delete')
        return `delete ${change.ref}${change.from === undefined ? '' : ` ${change.from}`}`;
      return `update ${change.ref} ${change.to}${change.from === undefined ? '' : ` ${change.from}`}`;
    });
    await this.#git.run({
      gitDir: this.#gitDir,
      args: ['update-ref', '--no-deref', '--stdin'],
      input: `${lines.join('\n')}\n`,
      signal,
    });
    // Hundreds of refs as single files would make every later listing slow.
    if (changes.length > PACK_FROM) await this.pack(signal);
  }

  async pack(signal?: AbortSignal): Promise<void> {
    await this.#git.run({ gitDir: this.#gitDir, args: ['pack-refs', '--all'], signal });
  }

  async setSymbolic(ref: string, target: string, signal?: AbortSignal): Promise<void> {
    await this.#git.run({ gitDir: this.#gitDir, args: ['symbolic-ref', ref, target], signal });
  }

  async symbolic(ref: string, signal?: AbortSignal): Promise<string | undefined> {
    const call = { gitDir: this.#gitDir, args: ['symbolic-ref', '--quiet', ref], okCodes: [0, 1], signal };
    const { stdout, exitCode } = await this.#git.run(call);
    return exitCode === 0 ? stdout.trim() : undefined;
  }

  async deleteSymbolic(ref: string, signal?: AbortSignal): Promise<void> {
    if ((await this.symbolic(ref, signal)) === undefined) return;
    await this.#git.run({ gitDir: this.#gitDir, args: ['symbolic-ref', '--delete', ref], signal });
  }

  async isAncestor(ancestor: string, descendant: string, signal?: AbortSignal): Promise<boolean> {
    const args = ['merge-base', '--is-ancestor', ancestor, descendant];
    return (await this.#git.run({ gitDir: this.#gitDir, args, okCodes: [0, 1], signal })).exitCode === 0;
  }

  async hasObject(id: string, signal?: AbortSignal): Promise<boolean> {
    const args = ['cat-file', '-e', `${id}^{commit}`];
    return (await this.#git.run({ gitDir: this.#gitDir, args, okCodes: [0, 1, 128], signal })).exitCode === 0;
  }

  /**
   * Of the positions of all refs below the prefixes: those that one of these commits leads to. What is no
   * commit is never among them. One walk for all, because how many refs there are is up to an agent.
   */
  async reachable(
    prefixes: readonly string[],
    from: Iterable<string>,
    signal?: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const patterns = prefixes.map((prefix) => prefix.replace(/\/$/, ''));
    const commits = [...new Set(from)];
    const found = new Set<string>();
    for (let at = 0; at < commits.length; at += COMMITS_PER_WALK) {
      const merged = commits.slice(at, at + COMMITS_PER_WALK).map((id) => `--merged=${id}`);
      const args = ['for-each-ref', '--format=%(objectname)', ...merged, ...patterns];
      const output = await this.#git.text({ gitDir: this.#gitDir, args, signal });
      for (const id of output.split('\n')) if (id !== '') found.add(id);
    }
    return found;
  }
}
