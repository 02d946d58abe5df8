import type { Person } from '../agents/contract.ts';
import type { Command, CommandRunner } from '../core/command.ts';
import { CommandError, HostError } from '../core/errors.ts';
import type { HumanIdentity, Project } from './contract.ts';

const NOBODY: Person = { name: 'Nobody', email: 'nobody@localhost' };
const TIMEOUT_MS = 5_000;
const MAX_LENGTH = 200;

/** The person of a project, of `config.yml`, or of this user's own git. */
export class GitIdentity implements HumanIdentity {
  readonly #runner: CommandRunner;
  readonly #env: Readonly<Record<string, string>>;

  /** @param deps.configHome $XDG_CONFIG_HOME, where the person moved their configuration. */
  constructor(deps: { readonly runner: CommandRunner; readonly configHome?: string | undefined }) {
    this.#runner = deps.runner;
    this.#env = deps.configHome === undefined ? {} : { XDG_CONFIG_HOME: deps.configHome };
  }

  async of({ settings: { git } }: Project): Promise<Person | undefined> {
    const [name, email] = await Promise.all([
      git.human_name ?? this.#read('user.name'),
      git.human_email ?? this.#read('user.email'),
    ]);
    if (name === undefined && email === undefined) return undefined;
    return { name: name ?? NOBODY.name, email: email ?? NOBODY.email };
  }

  /** A git that is absent or cannot read its own configuration knows nobody: no task fails over it. */
  async #read(key: 'user.name' | 'user.email'): Promise<string | undefined> {
    try {
      return await this.#runner.run({ ...gitConfigCommand(key), env: this.#env });
    } catch (error) {
      if (error instanceof CommandError || error instanceof HostError) return undefined;
      throw error;
    }
  }
}

/** Reads one value of the user's own git configuration; undefined where it is absent or no fit for a commit. */
export function gitConfigCommand(key: 'user.name' | 'user.email'): Command<string | undefined> {
  return {
    file: 'git',
    // Without --includes, a file that is named is read alone.
    args: ['config', '--global', '--includes', '--get', key],
    // Away from any repository: its configuration is no business of a global question.
    cwd: '/',
    okCodes: [0, 1],
    timeoutMs: TIMEOUT_MS,
    parse: ({ stdout, exitCode }) => (exitCode === 0 ? fitForCommit(stdout) : undefined),
  };
}

/** As git itself drops what would break its line of an author. */
function fitForCommit(text: string): string | undefined {
  const fit = text.replace(/[<>\p{Cc}]/gu, '').trim();
  return fit === '' || fit.length > MAX_LENGTH ? undefined : fit;
}
