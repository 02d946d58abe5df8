import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { InvalidInputError } from '../core/errors.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { AgentFile } from './contract.ts';

/** One file of a roster, as read. */
export interface AgentSource {
  readonly file: string;
  readonly text: string;
}

/**
 * All agents by name, sorted. A person's own file replaces the bundled agent of that name, whole. Throws
 * InvalidInputError with file, line and key for the first file that is wrong.
 */
export function readRoster(sources: {
  readonly bundled: readonly AgentSource[];
  readonly own: readonly AgentSource[];
}): ReadonlyMap<string, AgentFile> {
  const agents = new Map<string, AgentFile>();
  for (const source of [...sources.bundled, ...sources.own]) {
    const agent = parseAgent(source);
    agents.set(agent.name, agent);
  }
  return new Map([...agents].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Throws InvalidInputError naming file, line and key. */
export function parseAgent({ file, text }: AgentSource): AgentFile {
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
  const expected = /([^/]+)\.yaml$/.exec(file)?.[1];
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
