import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

export interface GitResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Environment of a plain git client: its own home, no configuration of this machine or of the test's user. */
export function clientEnvironment(home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Dev',
    GIT_AUTHOR_EMAIL: 'dev@example.invalid',
    GIT_COMMITTER_NAME: 'Dev',
    GIT_COMMITTER_EMAIL: 'dev@example.invalid',
  };
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

/** A git client in one directory. `run` never throws; `ok` throws unless git succeeds, and gives its output. */
export class GitClient {
  readonly directory: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(directory: string, env: Readonly<Record<string, string>>) {
    this.directory = directory;
    this.#env = env;
  }

  start(args: readonly string[], options: RunOptions = {}) {
    return execa('git', args, {
      cwd: this.directory,
      env: { ...this.#env, ...options.env },
      extendEnv: false,
      reject: false,
      ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    });
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<GitResult> {
    const { stdout, stderr, exitCode } = await this.start(args, options);
    return { stdout: String(stdout), stderr: String(stderr), exitCode: exitCode ?? -1 };
  }

  async ok(...args: readonly string[]): Promise<string> {
    const result = await this.run(args);
    if (result.exitCode !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  /** Commits one file with this content; gives the commit's id. */
  async commit(file: string, content: string, message = `Change ${file}`): Promise<string> {
    await mkdir(path.dirname(path.join(this.directory, file)), { recursive: true });
    await writeFile(path.join(this.directory, file), content);
    await this.ok('add', '--all');
    await this.ok('commit', '--quiet', '--message', message);
    return await this.head();
  }

  async head(ref = 'HEAD'): Promise<string> {
    return await this.ok('rev-parse', '--verify', ref);
  }

  in(directory: string): GitClient {
    return new GitClient(directory, this.#env);
  }
}

export interface Playground extends AsyncDisposable {
  readonly directory: string;
  readonly git: GitClient;
}

/** A directory of one test, removed at its end, with a git client that has its home there. */
export async function playground(): Promise<Playground> {
  const directory = await mkdtemp('/tmp/tg-');
  await mkdir(path.join(directory, 'home'));
  return {
    directory,
    git: new GitClient(directory, clientEnvironment(path.join(directory, 'home'))),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/** A bare upstream with some history on `main`, a second branch and a tag; and a working copy of it. */
export async function makeUpstream(
  ground: Playground,
  name = 'upstream',
): Promise<{ readonly url: string; readonly bare: GitClient; readonly work: GitClient }> {
  const url = path.join(ground.directory, `${name}.git`);
  await ground.git.ok('init', '--quiet', '--bare', '--initial-branch=main', url);
  const bare = ground.git.in(url);
  const directory = path.join(ground.directory, `${name}-work`);
  await ground.git.ok('clone', '--quiet', url, directory);
  const work = ground.git.in(directory);
  await work.ok('checkout', '--quiet', '-B', 'main');
  await work.commit('README.md', '# A project\n', 'First commit');
  await work.commit('src/app.txt', 'one\ntwo\nthree\n', 'Add the app');
  await work.ok('tag', '--annotate', 'v1.0', '--message', 'Version 1.0');
  await work.ok('push', '--quiet', 'origin', 'main', 'v1.0');
  await work.ok('push', '--quiet', 'origin', 'main:refs/heads/release/1.x');
  return { url, bare, work };
}

/** Every ref and where it points: compare before and after. */
export async function refsOf(repository: GitClient, prefix = ''): Promise<ReadonlyMap<string, string>> {
  const output = await repository.ok(
    'for-each-ref',
    '--format=%(refname) %(objectname)',
    ...(prefix === '' ? [] : [prefix]),
  );
  return new Map(
    output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [ref = '', id = ''] = line.split(' ');
        return [ref, id];
      }),
  );
}
