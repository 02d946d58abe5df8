import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { InvalidInputError } from '../core/errors.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { AgentFile } from './contract.ts';

/** One file of a roster, as read; or that it could not be. */
export type AgentSource =
  | { readonly file: string; readonly text: string; readonly unreadable?: undefined }
  | { readonly file: string; readonly unreadable: string };

export interface Roster {
  /** By name, sorted. */
  readonly agents: ReadonlyMap<string, AgentFile>;
  /** What is wrong with a person's own files, by the name of the agent they are called after. */
  readonly broken: ReadonlyMap<string, InvalidInputError>;
}

/**
 * A person's own file replaces the bundled agent of that name, whole. A broken one is no reason to stop the
 * agents of other files; a broken bundled file is a broken installation and throws InvalidInputError.
 */
export function readRoster(sources: {
  readonly bundled: readonly AgentSource[];
  readonly own: readonly AgentSource[];
}): Roster {
  const agents = new Map(sources.bundled.map(parseAgent).map((agent) => [agent.name, agent]));
  const broken = new Map<string, InvalidInputError>();
  for (const source of sources.own) {
    try {
      const agent = parseAgent(source);
      agents.set(agent.name, agent);
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      broken.set(nameOf(source.file), error);
    }
  }
  return { agents: new Map([...agents].sort(([a], [b]) => (a < b ? -1 : 1))), broken };
}

const nameOf = (file: string): string => /([^/]+)\.yaml$/.exec(file)?.[1] ?? file;

/** Throws InvalidInputError naming file, line and key. */
export function parseAgent(source: AgentSource): AgentFile {
  if (source.unreadable !== undefined) throw invalid(source.file, 1, source.unreadable);
  const { file, text } = source;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const syntax = document.errors[0];
  if (syntax !== undefined) throw invalid(file, lines.linePos(syntax.pos[0]).line, cleanLine(syntax.message));
  const result = AgentFile.safeParse(plainValue(file, document));
  if (!result.success) {
    const issue = result.error.issues[0];
    const line = issue === undefined ? 1 : lineOf(document, lines, issue);
    throw invalid(file, line, issue === undefined ? 'not an agent' : describeIssue(issue));
  }
  const expected = nameOf(file);
  if (result.data.name === expected) return result.data;
  const line = lineAt(document, lines, ['name']) ?? 1;
  throw invalid(file, line, `name: is "${result.data.name}", but the file is called "${expected}.yaml"`);
}

/** Aliases that multiply into more than a file could hold are refused. */
function plainValue(file: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 10 });
  } catch {
    throw invalid(file, 1, 'too many aliases');
  }
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const where = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  if (issue.code === 'unrecognized_keys') return `${where}unknown key ${cleanLine(issue.keys.join(', '))}`;
  return `${where}${cleanLine(issue.message)}`;
}

type Document = ReturnType<typeof parseDocument>;

/** The line of what an issue is about, or of the nearest thing around it that is there. */
function lineOf(document: Document, lines: LineCounter, issue: z.core.$ZodIssue): number {
  const keys = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : [...issue.path];
  for (let length = keys.length; length > 0; length--) {
    const line = lineAt(document, lines, keys.slice(0, length));
    if (line !== undefined) return line;
  }
  return 1;
}

function lineAt(document: Document, lines: LineCounter, keys: readonly PropertyKey[]): number | undefined {
  const node: unknown = document.getIn(keys, true);
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range))
    return undefined;
  const offset: unknown = node.range[0];
  return typeof offset === 'number' ? lines.linePos(offset).line : undefined;
}

const invalid = (file: string, line: number, problem: string): InvalidInputError =>
  new InvalidInputError(`${file}:${line}: ${problem}`, { hint: `Correct ${file}.` });
