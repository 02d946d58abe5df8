import { CommandError, ConflictError, HostError, InvalidInputError, RuntimeError } from '../core/errors.ts';
import { cleanLine, cleanTail } from '../core/untrusted-text.ts';
import { parseUpstreamUrl, splitCredentials, withoutCredentials } from '../core/upstream-url.ts';
import type { Project } from '../projects/contract.ts';
import type { SshAccess, UpstreamKeys } from './contract.ts';
import { GitError, type HostGit } from './host-git.ts';
import type { MirrorStore } from './mirror-store.ts';
import { HEADS, TAGS, UPSTREAM } from './ref-names.ts';

/** What an upstream says it holds. */
export interface UpstreamState {
  /** Branch its HEAD names, if it says. */
  readonly defaultBranch: string | undefined;
  /** `refs/heads/*` and `refs/tags/*`. */
  readonly refs: ReadonlyMap<string, string>;
}

const QUERY_SILENCE_MS = 60_000;
const TRANSFER_SILENCE_MS = 180_000;

/** Talks to one project's upstream. The only place from which the gate reaches out of this machine. */
export class Upstream {
  readonly #git: HostGit;
  readonly #mirrors: MirrorStore;
  readonly #keys: UpstreamKeys;

  constructor(deps: {
    readonly git: HostGit;
    readonly mirrors: MirrorStore;
    readonly keys: UpstreamKeys | undefined;
  }) {
    this.#git = deps.git;
    this.#mirrors = deps.mirrors;
    this.#keys = deps.keys ?? NO_KEYS;
  }

  /** Throws CommandError when it cannot be reached. `patterns` limits what it is asked for. */
  async query(
    project: Project,
    signal?: AbortSignal,
    patterns: readonly string[] = ['HEAD', `${HEADS}*`, `${TAGS}*`],
  ): Promise<UpstreamState> {
    const { url, call } = await this.#reach(project);
    const args = ['ls-remote', '--symref', '--end-of-options', url, ...patterns];
    const output = await this.#git
      .text({ ...call, trustsOtherOwners: true, args, silenceMs: QUERY_SILENCE_MS, signal })
      .catch((error: unknown) => {
        throw unreachable(project, error);
      });
    return parseLsRemote(output);
  }

  /** Makes a mirror's copy of all branches and tags, or gets just the commits of one branch. Throws CommandError. */
  async fetch(
    project: Project,
    gitDir: string,
    options: { readonly branch?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const { url, call } = await this.#reach(project);
    const { branch, signal } = options;
    const refspecs =
      branch === undefined ? [`+${HEADS}*:${UPSTREAM}*`, `+${TAGS}*:${TAGS}*`] : [`${HEADS}${branch}`];
    const args = [
      'fetch',
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      '--no-auto-maintenance',
      '--no-recurse-submodules',
      ...(branch === undefined ? ['--prune'] : []),
      '--end-of-options',
      url,
      ...refspecs,
    ];
    await this.#git
      .run({ ...call, gitDir, trustsOtherOwners: true, args, silenceMs: TRANSFER_SILENCE_MS, signal })
      .catch((error: unknown) => {
        throw unreachable(project, error);
      });
  }

  /**
   * Pushes one commit to one branch, never with force: git refuses what is no fast-forward, and the upstream
   * itself refuses when its branch moved between its answer and the update. Throws ConflictError or
   * CommandError; then nothing has moved.
   */
  async push(
    project: Project,
    gitDir: string,
    commit: { readonly head: string; readonly target: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const { url, call } = await this.#reach(project);
    const args = pushArgs(url, commit);
    await this.#git
      .run({ ...call, gitDir, args, silenceMs: TRANSFER_SILENCE_MS, signal })
      .catch((error: unknown) => {
        throw refusedPush(project, commit, error);
      });
  }

  /** Arguments and environment of a process can be read by others: no secret is among what this gives. */
  async #reach(project: Project) {
    const { upstream_url } = project.settings.git;
    const parsed = parseUpstreamUrl(upstream_url);
    if (!parsed.isValid) {
      throw new InvalidInputError(`${project.file}: git.upstream_url ${parsed.problem}`, {
        hint: `Correct ${project.file}.`,
      });
    }
    const { url, credentials: secret } = splitCredentials(upstream_url);
    const credentials = await this.#mirrors.keepCredentials(project.id, secret);
    const ssh = parsed.transport === 'ssh' ? await this.#sshAccess(project) : undefined;
    return { url, call: { transport: parsed.transport, credentials, ssh } };
  }

  /** No key, or a locked vault: for who asks, an upstream that cannot be reached just now. */
  async #sshAccess(project: Project): Promise<SshAccess> {
    try {
      return await this.#keys.access(project);
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      const { message, hint } = error;
      throw new CommandError(`The upstream of "${project.id}" cannot be reached: ${message}`, {
        hint,
        cause: error,
      });
    }
  }
}

const NO_KEYS: UpstreamKeys = {
  access: ({ id }) =>
    Promise.reject(
      new HostError(`"${id}" has no SSH key`, { hint: `Run "terok-mcp project ssh-init ${id}".` }),
    ),
};

/** `--no-force` would be git's default; no option here can turn it around. */
export function pushArgs(
  url: string,
  { head, target }: { readonly head: string; readonly target: string },
): readonly string[] {
  return [
    'push',
    '--porcelain',
    '--no-force',
    '--no-follow-tags',
    '--no-recurse-submodules',
    '--no-signed',
    '--no-verify',
    '--end-of-options',
    url,
    `${head}:${HEADS}${target}`,
  ];
}

export function parseLsRemote(output: string): UpstreamState {
  const refs = new Map<string, string>();
  let defaultBranch: string | undefined;
  for (const line of output.split('\n')) {
    const [left = '', ref = ''] = line.split('\t');
    if (left.startsWith(`ref: ${HEADS}`) && ref === 'HEAD')
      defaultBranch = left.slice(`ref: ${HEADS}`.length);
    else if (
      (ref.startsWith(HEADS) || ref.startsWith(TAGS)) &&
      !ref.endsWith('^{}') &&
      /^[0-9a-f]{40,64}$/.test(left)
    )
      refs.set(ref, left);
  }
  return { defaultBranch, refs };
}

function unreachable(project: Project, error: unknown): unknown {
  if (!(error instanceof GitError)) return error;
  const parsed = parseUpstreamUrl(project.settings.git.upstream_url);
  const usesSsh = parsed.isValid && parsed.transport === 'ssh';
  const url = withoutCredentials(cleanLine(project.settings.git.upstream_url));
  return new CommandError(`The upstream of "${project.id}" (${url}) cannot be read`, {
    hint: usesSsh
      ? `Check that the project's key ("terok-mcp project ssh-key ${project.id}") is known there, and its host in known_hosts ("terok-mcp project ssh-host"): your own keys are not used.`
      : `Check git.upstream_url in ${project.file}, the network, and that the repository can be read without a prompt.`,
    details: error.details,
    cause: error,
  });
}

function refusedPush(
  project: Project,
  { head, target }: { readonly head: string; readonly target: string },
  error: unknown,
): unknown {
  if (!(error instanceof GitError)) return error;
  // Lines of git-push(1) --porcelain: "<flag>\t<from>:<to>\t<summary> (<reason>)".
  const line = error.stdout.split('\n').find((text) => text.startsWith('!\t')) ?? '';
  const summary = line.split('\t')[2] ?? '';
  const commit = head.slice(0, 12);
  if (/^\[rejected\]/.test(summary)) {
    return new ConflictError(
      `Upstream's "${target}" has commits that ${commit} does not contain; nothing was pushed`,
      {
        hint: 'Have the work rebased or merged onto the current upstream, review the result, and promote that commit.',
        cause: error,
      },
    );
  }
  if (
    /cannot lock ref|failed to update ref|stale info|fetch first|reference already exists|incorrect old value/i.test(
      summary,
    )
  ) {
    return new ConflictError(
      `Upstream's "${target}" moved while ${commit} was being pushed; nothing was pushed`,
      {
        hint: 'Look at the difference again and promote once more.',
        cause: error,
      },
    );
  }
  if (/^\[remote rejected\]/.test(summary)) {
    return new CommandError(
      `The upstream of "${project.id}" refused ${commit} on "${target}"; nothing was pushed`,
      {
        hint: 'The upstream has a rule or hook against it: see the details.',
        details: cleanTail(`${summary}\n${error.details ?? ''}`),
        cause: error,
      },
    );
  }
  return new CommandError(
    `The upstream of "${project.id}" could not be reached for the push; nothing was lost`,
    {
      hint: `The work stays in the gate. Check the network and that git.upstream_url in ${project.file} can be written, then promote again.`,
      details: error.details,
      cause: error,
    },
  );
}
