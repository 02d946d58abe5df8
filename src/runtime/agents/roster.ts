import { InvalidInputError } from '../core/errors.ts';
import type { AgentSource } from './agent-document.ts';
import {
  type AgentDocument,
  nameOf,
  parseAgent,
  parseOverride,
  readAgentDocument,
} from './agent-document.ts';
import type { RosterEntry } from './contract.ts';
import { findConflicts, type RosterConflict } from './roster-conflicts.ts';

export interface ReadRoster {
  /** By name, sorted. */
  readonly entries: ReadonlyMap<string, RosterEntry>;
  /** What is wrong with a person's own files, by the name they are called after. */
  readonly broken: ReadonlyMap<string, InvalidInputError>;
}

interface Candidate {
  readonly entry: RosterEntry;
  readonly file: string;
}

/**
 * A person's own file is laid over the bundled one of that name, or stands alone. A broken one, or one that
 * contradicts another file, is no reason to stop the agents of other files; a broken bundled file is a broken
 * installation and throws InvalidInputError.
 */
export function readRoster(sources: {
  readonly bundled: readonly AgentSource[];
  readonly own: readonly AgentSource[];
}): ReadRoster {
  const documents = new Map<string, AgentDocument>();
  const bundled = new Map<string, Candidate>();
  for (const source of sources.bundled) {
    const document = readAgentDocument(source);
    documents.set(document.name, document);
    bundled.set(document.name, { entry: parseAgent(document), file: source.file });
  }
  const own = new Map<string, Candidate>();
  const broken = new Map<string, InvalidInputError>();
  for (const source of sources.own) {
    try {
      const document = readAgentDocument(source);
      const below = documents.get(document.name);
      const entry = below === undefined ? parseAgent(document) : parseOverride(document, below);
      own.set(entry.name, { entry, file: source.file });
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      broken.set(nameOf(source.file), error);
    }
  }
  return { entries: withoutContradictions(bundled, own, broken), broken };
}

/** Takes away own files until the rest agrees: what is bundled does, or the installation is broken. */
function withoutContradictions(
  bundled: ReadonlyMap<string, Candidate>,
  own: Map<string, Candidate>,
  broken: Map<string, InvalidInputError>,
): ReadonlyMap<string, RosterEntry> {
  for (;;) {
    const all = new Map([...bundled, ...own].sort(([a], [b]) => (a < b ? -1 : 1)));
    const entries = new Map([...all].map(([name, { entry }]) => [name, entry]));
    const conflicts = findConflicts([...entries.values()]);
    if (conflicts.length === 0) return entries;
    const involved = conflicts.flatMap((conflict) => {
      const error = conflictError(conflict, all);
      const names = conflict.names.filter((name) => own.has(name));
      if (names.length === 0) throw error;
      return names.map((name) => ({ name, error }));
    });
    for (const { name, error } of involved) {
      own.delete(name);
      if (!broken.has(name)) broken.set(name, error);
    }
  }
}

function conflictError(
  { names, problem }: RosterConflict,
  all: ReadonlyMap<string, Candidate>,
): InvalidInputError {
  const files = [...new Set(names)].map((name) => all.get(name)?.file ?? name);
  return new InvalidInputError(`${files.join(' and ')}: ${problem}`, {
    hint: files.length === 1 ? `Correct ${files[0]}.` : 'Correct one of these files.',
  });
}
