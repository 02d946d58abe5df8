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
    const output = await this.#git.text({
      gitDir: this.#gitDir,
      args: [
        'for-each-ref',
        '--format=%(objectname) %(refname) %(symref)',
        ...prefixes.map((prefix) => prefix.replace(/\/$/, '')),
      ],
      signal,
    });
    const refs = new Map<string, string>();
    for (const line of output.split('\n')) {
      const [id, ref, symref] = line.split(' ');
      // A symbolic ref (a namespace's HEAD) has no position of its own.
      if (id !== undefined && ref !== undefined && symref === '') refs.set(ref, id);
    }
    return refs;
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

  /** Whether any of these prefixes already leads to the commit. */
  async isReachableFrom(id: string, prefixes: readonly string[], signal?: AbortSignal): Promise<boolean> {
    const patterns = prefixes.map((prefix) => prefix.replace(/\/$/, ''));
    const args = ['for-each-ref', '--count=1', `--contains=${id}`, '--format=x', ...patterns];
    return (await this.#git.text({ gitDir: this.#gitDir, args, signal })) !== '';
  }
}
