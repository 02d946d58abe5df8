import { deepMerge, isMapping } from '../core/deep-merge.ts';
import { checkValue, type SchemaProblem } from '../core/schema-problems.ts';
import {
  type DocumentProblem,
  documentError,
  parseYaml,
  showKey,
  type YamlDocument,
} from '../core/yaml-document.ts';
import { type RosterEntry, RosterFile } from './contract.ts';

/** One file of a roster, as read; or that it could not be. */
export type AgentSource =
  | { readonly file: string; readonly text: string; readonly unreadable?: undefined }
  | { readonly file: string; readonly unreadable: string };

/** A file of the roster that holds YAML, and no more is known of it. */
export interface AgentDocument {
  readonly file: string;
  /** What the file is called after. */
  readonly name: string;
  readonly document: YamlDocument;
}

/** Throws InvalidInputError naming file and line. */
export function readAgentDocument(source: AgentSource): AgentDocument {
  const { file } = source;
  if (source.unreadable !== undefined)
    throw documentError(file, [{ line: 1, key: '', problem: source.unreadable }]);
  const { document, problems } = parseYaml(source.text);
  if (document === undefined) throw documentError(file, problems);
  return { file, name: nameOf(file), document };
}

export const nameOf = (file: string): string => /([^/]+)\.yaml$/.exec(file)?.[1] ?? file;

/** An agent or tool from its file alone. Throws InvalidInputError naming file, line and key. */
export function parseAgent({ file, name, document }: AgentDocument): RosterEntry {
  return parseEntry({ file, name, document, value: document.value });
}

/**
 * A person's own file laid over the bundled one of that name. Errors are blamed on the own file: at the line of
 * the key where it has it, else as a whole, for the bundled one is right by itself.
 */
export function parseOverride(own: AgentDocument, bundled: AgentDocument): RosterEntry {
  const below = bundled.document.value;
  const above = own.document.value;
  if (!isMapping(above) || !isMapping(below)) return parseAgent(own);
  return parseEntry({ ...own, value: deepMerge(withoutReplaced(below, above), above) });
}

/**
 * A choice of one of several shapes is made anew as a whole: the arguments of one way to hand over instructions
 * mean nothing to another.
 */
function withoutReplaced(
  below: Readonly<Record<string, unknown>>,
  above: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const isReplaced = (key: string, choice: string): boolean => {
    const [before, after] = [below[key], above[key]];
    return isMapping(before) && isMapping(after) && choice in after && after[choice] !== before[choice];
  };
  const replaced = [
    ['instructions', 'via'],
    ['session', 'id'],
  ].flatMap(([key = '', choice = '']) => (isReplaced(key, choice) ? [key] : []));
  return Object.fromEntries(Object.entries(below).filter(([key]) => !replaced.includes(key)));
}

function parseEntry(input: AgentDocument & { readonly value: unknown }): RosterEntry {
  const { file, name, document } = input;
  const { data, problems } = checkValue(RosterFile, input.value);
  if (data === undefined) {
    throw documentError(
      file,
      problems.map((problem) => blame(document, problem)),
    );
  }
  if (data.name === name) return data;
  const problem = `is "${data.name}", but the file is called "${name}.yaml"`;
  throw documentError(file, [blame(document, { path: ['name'], problem })]);
}

const blame = (document: YamlDocument, { path, problem }: SchemaProblem): DocumentProblem => ({
  line: document.lineOf(path),
  key: showKey(path),
  problem,
});
