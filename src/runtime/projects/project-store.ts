import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Config, GlobalConfig } from '../config/contract.ts';
import { branchNameProblem } from '../core/branch-name.ts';
import { isMapping } from '../core/deep-merge.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../core/errors.ts';
import { readPersonalFile } from '../core/files.ts';
import { ProjectId } from '../core/ids.ts';
import { didYouMean, quoted } from '../core/nearest.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { parseUpstreamUrl } from '../core/upstream-url.ts';
import { documentError } from '../core/yaml-document.ts';
import { type Project, ProjectFile, type ProjectProblem, type Projects } from './contract.ts';
import { parseProjectDocument } from './project-document.ts';
import { renderProjectFile } from './project-template.ts';
import type { KnownRepository, RepositoryStore } from './repository-store.ts';

const FILE_NAME = 'project.yml';
const UPSTREAM_HINT =
  'Give an https, http, ssh, git or file URL, user@host:path, or the absolute path of a repository.';

/**
 * Projects as directories with a `project.yml`, and the repositories that were used without one. No file is cached:
 * an edit counts from the next call on.
 */
export class ProjectStore implements Projects {
  readonly #directory: string;
  readonly #config: Pick<Config, 'global'>;
  readonly #repositories: RepositoryStore;

  constructor(deps: {
    readonly directory: string;
    readonly config: Pick<Config, 'global'>;
    readonly repositories: RepositoryStore;
  }) {
    this.#directory = deps.directory;
    this.#config = deps.config;
    this.#repositories = deps.repositories;
  }

  async list(): Promise<{
    readonly projects: readonly Project[];
    readonly broken: readonly ProjectProblem[];
  }> {
    const projects: Project[] = [];
    const broken: ProjectProblem[] = [];
    const [names, global] = await Promise.all([this.#names(), this.#config.global()]);
    for (const name of names) {
      const id = ProjectId.safeParse(name);
      if (!id.success) {
        const reason = id.error.issues[0]?.message ?? 'invalid';
        broken.push({
          id: cleanLine(name, 80),
          problem: `${cleanLine(this.#file(name))}: the directory name is no project id: ${reason}`,
        });
        continue;
      }
      try {
        projects.push(await this.#load(id.data, global));
      } catch (error) {
        if (!(error instanceof InvalidInputError || error instanceof NotFoundError)) throw error;
        broken.push({ id: name, problem: error.message });
      }
    }
    const repositories = this.#repositories
      .list()
      .filter(({ id }) => !names.includes(id))
      .map((repository) => repositoryProject(repository, global));
    return { projects: [...projects, ...repositories], broken };
  }

  async get(id: string): Promise<Project> {
    const parsed = ProjectId.safeParse(id);
    if (parsed.success) {
      const names = await this.#names();
      if (names.includes(parsed.data)) return await this.#load(parsed.data, await this.#config.global());
      const repository = this.#repositories.get(parsed.data);
      if (repository !== undefined) return repositoryProject(repository, await this.#config.global());
    }
    throw await this.#unknown(id);
  }

  async forRepository(upstreamUrl: string): Promise<Project> {
    const [names, global] = await Promise.all([this.#names(), this.#config.global()]);
    const repository = this.#repositories.remember(upstreamUrl);
    if (names.includes(repository.id)) {
      throw new ConflictError(`"${repository.id}" stands for this repository, and is the id of a project`, {
        hint: 'Name the project, or rename its directory.',
      });
    }
    return repositoryProject(repository, global);
  }

  async create(input: {
    readonly id: string;
    readonly upstreamUrl: string;
    readonly defaultBranch?: string | undefined;
  }): Promise<Project> {
    const id = ProjectId.safeParse(input.id);
    if (!id.success) {
      throw new InvalidInputError(`"${cleanLine(input.id, 64)}" cannot be the id of a project`, {
        hint: `Choose another: ${id.error.issues[0]?.message ?? 'lower-case letters, digits, "-" and "_"'}.`,
      });
    }
    const upstream = parseUpstreamUrl(input.upstreamUrl);
    if (!upstream.isValid) {
      throw new InvalidInputError(`The upstream "${cleanLine(input.upstreamUrl)}" ${upstream.problem}`, {
        hint: UPSTREAM_HINT,
      });
    }
    const branchProblem =
      input.defaultBranch === undefined ? undefined : branchNameProblem(input.defaultBranch);
    if (branchProblem !== undefined) {
      throw new InvalidInputError(
        `The branch name "${cleanLine(input.defaultBranch ?? '')}" ${branchProblem}`,
      );
    }
    const file = this.#file(id.data);
    if (this.#repositories.get(id.data) !== undefined) {
      throw new ConflictError(`"${id.data}" stands for a repository that was used without a project`, {
        hint: 'Choose another id.',
      });
    }
    const global = await this.#config.global();
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    if (!(await writeNewFile(file, renderProjectFile(input)))) {
      throw new ConflictError(`The project "${id.data}" exists already`, {
        hint: `Edit ${file}, or choose another id.`,
      });
    }
    return await this.#load(id.data, global);
  }

  #file(name: string): string {
    return path.join(this.#directory, name, FILE_NAME);
  }

  /** Directories (or links to some), hidden ones aside. */
  async #names(): Promise<readonly string[]> {
    const entries = await readdir(this.#directory, { withFileTypes: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw new InvalidInputError(`${this.#directory} cannot be read (${error.code ?? 'unknown error'})`, {
          hint: 'It should be a directory of yours.',
          cause: error,
        });
      },
    );
    return entries
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .sort();
  }

  async #load(id: ProjectId, global: GlobalConfig): Promise<Project> {
    const file = this.#file(id);
    const { text, problem } = await readPersonalFile(file);
    if (text === undefined) {
      throw new InvalidInputError(`${file}: ${problem}`, {
        hint: `Make ${file} a readable file with a "git" section.`,
      });
    }
    const parsed = parseProjectDocument(text, { id, inherited: global.sections });
    if (parsed.settings === undefined) throw documentError(file, parsed.problems);
    const { settings, ownKeys } = parsed;
    return { id, file, directory: path.dirname(file), settings, ownKeys, isRepository: false };
  }

  async #unknown(id: string): Promise<NotFoundError> {
    const names = await this.#names();
    const listed = names.slice(0, 20).map((name) => cleanLine(name, 64));
    const known =
      listed.length > 0
        ? `Known projects: ${listed.join(', ')}.`
        : 'Make one with "terok-mcp project create <id> --upstream <url>".';
    return new NotFoundError(`No project named ${quoted(id)}`, {
      hint: didYouMean(id, names, known, quoted),
    });
  }
}

/** What config.yml says, for this repository. Its sections are valid by themselves, so nothing can be wrong here. */
function repositoryProject({ id, upstreamUrl }: KnownRepository, { file, sections }: GlobalConfig): Project {
  const { agent: _, git, ...rest } = sections;
  const settings = ProjectFile.parse({
    ...rest,
    git: { ...(isMapping(git) ? git : {}), upstream_url: upstreamUrl },
  });
  return { id, file, directory: path.dirname(file), settings, ownKeys: [], isRepository: true };
}

/** Writes a file as a whole, unless one is there: false. Of two concurrent calls one gets true. */
async function writeNewFile(file: string, content: string): Promise<boolean> {
  const temporary = path.join(path.dirname(file), `.${FILE_NAME}.${randomBytes(6).toString('hex')}`);
  await writeFile(temporary, content, { mode: 0o600, flag: 'wx' });
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}
