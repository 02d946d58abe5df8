import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import type { StateDatabase } from '../core/database.ts';
import { ConflictError, InvalidInputError } from '../core/errors.ts';
import { ProjectId } from '../core/ids.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { parseUpstreamUrl, withoutCredentials } from '../core/upstream-url.ts';

export interface KnownRepository {
  readonly id: ProjectId;
  readonly upstreamUrl: string;
}

const Row = z.object({ project: ProjectId, upstream_url: z.string() });

/** Repositories that were named instead of a project, and the ids that stand for them from then on. */
export class RepositoryStore {
  readonly #database: StateDatabase;
  readonly #clock: Clock;

  constructor(deps: { readonly database: StateDatabase; readonly clock: Clock }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
  }

  get(id: string): KnownRepository | undefined {
    const row = this.#database
      .prepare('SELECT project, upstream_url FROM repositories WHERE project = ?')
      .get(id);
    return row === undefined ? undefined : toRepository(row);
  }

  list(): readonly KnownRepository[] {
    return this.#database
      .prepare('SELECT project, upstream_url FROM repositories ORDER BY project')
      .all()
      .map(toRepository);
  }

  /**
   * Throws InvalidInputError for what cannot be an upstream, or holds a password: this is no place for one. Throws
   * ConflictError where its id stands for another repository.
   */
  remember(repo: string): KnownRepository {
    const upstreamUrl = canonical(repo);
    const id = idOf(upstreamUrl);
    this.#database
      .prepare('INSERT OR IGNORE INTO repositories (project, upstream_url, created_at) VALUES (?, ?, ?)')
      .run(id, upstreamUrl, this.#clock.now().toISOString());
    // Somebody may have looked for an address with the same hash: its tasks would get the work of the other.
    if (this.get(id)?.upstreamUrl !== upstreamUrl) {
      throw new ConflictError(`"${id}" stands for another repository already`, {
        hint: 'Make a project for this one: "terok-mcp project create <id> --upstream <url>".',
      });
    }
    return { id, upstreamUrl };
  }
}

const HINT = 'Give an https, http, git or file URL, or the absolute path of a repository.';
const SSH_HINT =
  'Make a project for it: "terok-mcp project create <id> --upstream <url>", then "terok-mcp project ssh-init <id>".';
const PRIVATE_HINT =
  'Make a project for it: "terok-mcp project create <id> --upstream <url>" keeps the URL in a private file.';

/** One way to write what may be written in several. */
function canonical(repo: string): string {
  const url = shortest(repo);
  const parsed = parseUpstreamUrl(url);
  if (!parsed.isValid) {
    throw new InvalidInputError(`The repository "${withoutCredentials(cleanLine(repo))}" ${parsed.problem}`, {
      hint: HINT,
    });
  }
  if (parsed.transport === 'ssh') {
    throw new InvalidInputError(
      `The repository "${withoutCredentials(cleanLine(repo))}" is reached over SSH, which takes a key of its own`,
      { hint: SSH_HINT },
    );
  }
  if (url.startsWith('/') || parsed.transport === 'file') return url;
  if (withoutCredentials(url) !== url) {
    throw new InvalidInputError('The URL of the repository holds a user name or password', {
      hint: PRIVATE_HINT,
    });
  }
  if (/[?#]/.test(url)) {
    throw new InvalidInputError('The URL of the repository holds a query, which may be a key', {
      hint: PRIVATE_HINT,
    });
  }
  return url;
}

/** Paths as such, though they came as a URL that git would take for the same; hosts in small letters. */
function shortest(repo: string): string {
  const file = /^(?:file:\/\/)?(\/[^%]*)$/.exec(repo)?.[1] ?? (repo.startsWith('/') ? repo : undefined);
  if (file !== undefined) return path.posix.normalize(file).replace(/(?<=.)\/+$/, '');
  const [whole, scheme = '', host = '', rest = ''] = /^([a-z]+:\/\/)([^/]*)(.*)$/s.exec(repo) ?? [];
  return whole === undefined ? repo : `${scheme}${host.toLowerCase()}${rest.replace(/\/+$/, '')}`;
}

/** `repo-<its name>-<hash of the address>`: told apart by people, and never by accident the same. */
function idOf(upstreamUrl: string): ProjectId {
  const name = (upstreamUrl.split(/[/:]/).at(-1) ?? '')
    .replace(/\.git$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  const hash = createHash('sha256').update(upstreamUrl).digest('hex').slice(0, 8);
  return ProjectId.parse(['repo', name, hash].filter((part) => part !== '').join('-'));
}

function toRepository(row: unknown): KnownRepository {
  const { project, upstream_url } = Row.parse(row);
  return { id: project, upstreamUrl: upstream_url };
}
