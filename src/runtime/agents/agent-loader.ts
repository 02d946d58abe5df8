import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError, NotFoundError } from '../core/errors.ts';
import { readPersonalFile } from '../core/files.ts';
import { didYouMean } from '../core/nearest.ts';
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
  WebProgramFile,
} from './contract.ts';
import { type ReadRoster, readRoster } from './roster.ts';

/** The roster as the files are now: they are few and small, and an edit counts at once. */
export class AgentLoader implements Agents {
  readonly #bundled: string;
  readonly #own: string;
  readonly #newSession: () => string;
  /** Checking costs far more than reading, and the files are seldom others than last time. */
  #last: { readonly key: string; readonly roster: ReadRoster } | undefined;

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
    throw ofAnotherKind(roster, entry, 'agent');
  }

  async tool(name: string): Promise<ToolFile> {
    const roster = await this.#read();
    const entry = find(roster, name, 'tool');
    if (entry.kind === 'tool') return entry;
    throw ofAnotherKind(roster, entry, 'tool');
  }

  async webProgram(name: string): Promise<WebProgramFile> {
    const roster = await this.#read();
    const entry = find(roster, name, 'web');
    if (entry.kind === 'web') return entry;
    throw ofAnotherKind(roster, entry, 'web');
  }

  plan(input: AgentRunInput): AgentRun {
    return planAgentRun(input, this.#newSession);
  }

  async #read(): Promise<ReadRoster> {
    const [bundled, own] = await Promise.all([loadSources(this.#bundled), loadSources(this.#own)]);
    const key = JSON.stringify([bundled, own]);
    if (this.#last?.key !== key) this.#last = { key, roster: readRoster({ bundled, own }) };
    return this.#last.roster;
  }
}

type Kind = RosterEntry['kind'];

function find(roster: ReadRoster, name: string, kind: Kind): RosterEntry {
  const problem = roster.broken.get(name);
  // Never the bundled one in its place: the person meant another.
  if (problem !== undefined) throw problem;
  const entry = roster.entries.get(name);
  if (entry !== undefined) return entry;
  throw new NotFoundError(`There is no ${CALLED[kind].one} named "${cleanLine(name, 64)}"`, {
    hint: didYouMean(name, namesOf(roster, kind), known(roster, kind)),
  });
}

const namesOf = ({ entries }: ReadRoster, kind: Kind): readonly string[] =>
  [...entries.values()].filter((entry) => entry.kind === kind).map(({ name }) => name);

const CALLED = {
  agent: { a: 'an agent', one: 'agent' },
  tool: { a: 'a tool', one: 'tool' },
  web: { a: 'a web program', one: 'web program' },
} as const satisfies Record<Kind, object>;

const known = (roster: ReadRoster, kind: Kind): string =>
  `Known ${CALLED[kind].one}s: ${namesOf(roster, kind).join(', ')}.`;

const ofAnotherKind = (roster: ReadRoster, { name, kind }: RosterEntry, wanted: Kind): NotFoundError =>
  new NotFoundError(`"${name}" is ${CALLED[kind].a}, not ${CALLED[wanted].a}`, {
    hint: known(roster, wanted),
  });

async function loadSources(directory: string): Promise<readonly AgentSource[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new InvalidInputError(`${directory} cannot be read (${error.code ?? 'unknown error'})`, {
      hint: 'It should be a directory of yours.',
      cause: error,
    });
  });
  // Hidden ones are what editors leave while they write.
  const files = names.filter((name) => name.endsWith('.yaml') && !name.startsWith('.')).sort();
  return await Promise.all(
    files.map(async (name) => {
      const file = path.join(directory, name);
      const { text, problem } = await readPersonalFile(file);
      return text === undefined ? { file, unreadable: problem } : { file, text };
    }),
  );
}
