import { randomUUID } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { NotFoundError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { AgentSource } from './agent-document.ts';
import { planAgentRun } from './agent-run.ts';
import type {
  AgentFile,
  AgentRun,
  AgentRunInput,
  Agents,
  Roster,
  RosterEntry,
  ToolFile,
} from './contract.ts';
import { type ReadRoster, readRoster } from './roster.ts';

/** The roster as the files are now: they are few and small, and an edit counts at once. */
export class AgentLoader implements Agents {
  readonly #bundled: string;
  readonly #own: string;
  readonly #newSession: () => string;

  /**
   * @param deps.bundled `resources/agents`; `deps.own` the person's own directory, which may be absent.
   * `deps.newSession` makes ids of conversations: UUIDs.
   */
  constructor(deps: {
    readonly bundled: string;
    readonly own: string;
    readonly newSession?: (() => string) | undefined;
  }) {
    this.#bundled = deps.bundled;
    this.#own = deps.own;
    this.#newSession = deps.newSession ?? randomUUID;
  }

  async roster(): Promise<Roster> {
    const { entries, broken } = await this.#read();
    return {
      entries: [...entries.values()],
      broken: [...broken].map(([name, { message }]) => ({ name: cleanLine(name, 64), problem: message })),
    };
  }

  async agent(name: string): Promise<AgentFile> {
    const roster = await this.#read();
    const entry = find(roster, name, 'agent');
    if (entry.kind === 'agent') return entry;
    throw new NotFoundError(`"${name}" is a tool, not an agent`, { hint: known(roster, 'agent') });
  }

  async tool(name: string): Promise<ToolFile> {
    const roster = await this.#read();
    const entry = find(roster, name, 'tool');
    if (entry.kind === 'tool') return entry;
    throw new NotFoundError(`"${name}" is an agent, not a tool`, { hint: known(roster, 'tool') });
  }

  plan(input: AgentRunInput): AgentRun {
    return planAgentRun(input, this.#newSession);
  }

  async #read(): Promise<ReadRoster> {
    const [bundled, own] = await Promise.all([loadSources(this.#bundled), loadSources(this.#own)]);
    return readRoster({ bundled, own });
  }
}

type Kind = RosterEntry['kind'];

function find(roster: ReadRoster, name: string, kind: Kind): RosterEntry {
  const problem = roster.broken.get(name);
  // Never the bundled one in its place: the person meant another.
  if (problem !== undefined) throw problem;
  const entry = roster.entries.get(name);
  if (entry !== undefined) return entry;
  const near = nearestNames(name, namesOf(roster, kind));
  throw new NotFoundError(`There is no ${kind} named "${cleanLine(name, 64)}"`, {
    hint: near.length > 0 ? `Did you mean ${near.join(' or ')}?` : known(roster, kind),
  });
}

const namesOf = ({ entries }: ReadRoster, kind: Kind): readonly string[] =>
  [...entries.values()].filter((entry) => entry.kind === kind).map(({ name }) => name);

const known = (roster: ReadRoster, kind: Kind): string =>
  `Known ${kind}s: ${namesOf(roster, kind).join(', ')}.`;

async function loadSources(directory: string): Promise<readonly AgentSource[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const files = names.filter((name) => name.endsWith('.yaml')).sort();
  return await Promise.all(
    files.map(async (name) => {
      const file = path.join(directory, name);
      try {
        // Reading a named pipe would wait for somebody to write to it.
        if (!(await stat(file)).isFile()) return { file, unreadable: 'is not a regular file' };
        return { file, text: await readFile(file, 'utf8') };
      } catch (error) {
        const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
        return { file, unreadable: `cannot be read (${reason})` };
      }
    }),
  );
}
