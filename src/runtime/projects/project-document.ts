import { type Document, isMap, isNode, isPair, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { nearestNames } from '../core/nearest.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { ProjectFile } from './contract.ts';

/** What is wrong at one place of a file, ready to be shown. */
export interface DocumentProblem {
  /** 1-based. */
  readonly line: number;
  /** Like `run.memory`; empty for the document as a whole. */
  readonly key: string;
  readonly problem: string;
}

export type ProjectDocument =
  | { readonly settings: ProjectFile; readonly problems?: undefined }
  | { readonly settings?: undefined; readonly problems: readonly DocumentProblem[] };

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** Parses the text of a `project.yml`. Every problem knows its line. */
export function parseProjectDocument(text: string): ProjectDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    merge: false,
  });
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map((error) => ({
        line: lineAt(error.pos[0]),
        key: '',
        problem: `not valid YAML: ${cleanLine(error.message)}`,
      })),
    };
  }
  const value = toPlain(document);
  if (value.problem !== undefined) return { problems: [{ line: 1, key: '', problem: value.problem }] };
  const parsed = ProjectFile.safeParse(value.plain ?? {}, { reportInput: true });
  if (parsed.success) return { settings: parsed.data };
  const problems = parsed.error.issues.flatMap((issue) =>
    describeIssue(issue).map(({ path, problem }) => ({
      line: lineAt(offsetOf(document, path)),
      key: path.map((part) => cleanLine(String(part), 80)).join('.'),
      problem,
    })),
  );
  return { problems };
}

/** Aliases may nest into gigabytes; the library counts and refuses. */
function toPlain(document: Document.Parsed): { readonly plain?: unknown; readonly problem?: string } {
  try {
    return { plain: document.toJS({ maxAliasCount: 50 }) };
  } catch {
    return { problem: 'its aliases (*name) expand to too much' };
  }
}

function describeIssue(issue: Issue): readonly { readonly path: Path; readonly problem: string }[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const near = nearestNames(key, knownKeys(issue.path));
      const suggestion =
        near.length === 0 ? '' : `; did you mean ${near.map((name) => `"${name}"`).join(' or ')}?`;
      return { path: [...issue.path, key], problem: `is no known key${suggestion}` };
    });
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    if (issue.path[0] === 'git') {
      return [
        {
          path: ['git', 'upstream_url'],
          problem: 'is missing; a project needs the address of its real repository',
        },
      ];
    }
    return [{ path: issue.path, problem: 'is missing' }];
  }
  if (issue.code === 'invalid_value' && issue.values.length > 0) {
    return [
      {
        path: issue.path,
        problem: `must be ${issue.values.map((value) => `"${String(value)}"`).join(' or ')}`,
      },
    ];
  }
  if (issue.code === 'invalid_type') {
    const expected = {
      object: 'a mapping',
      int: 'a whole number',
      string: 'a text',
      boolean: 'true or false',
    };
    const name =
      Object.entries(expected).find(([type]) => type === issue.expected)?.[1] ?? `a ${issue.expected}`;
    return [{ path: issue.path, problem: `must be ${name}` }];
  }
  return [{ path: issue.path, problem: cleanLine(issue.message) }];
}

/** Keys the schema knows at a place, for suggestions. */
function knownKeys(path: Path): readonly string[] {
  const shape: Readonly<Record<string, unknown>> = ProjectFile.shape;
  const [section] = path;
  if (section === undefined) return Object.keys(shape);
  return SECTION_KEYS[String(section)] ?? [];
}

const SECTION_KEYS: Readonly<Record<string, readonly string[]>> = {
  project: Object.keys(ProjectFile.shape.project.unwrap().shape),
  git: Object.keys(ProjectFile.shape.git.shape),
  run: Object.keys(ProjectFile.shape.run.unwrap().shape),
  promotion: Object.keys(ProjectFile.shape.promotion.unwrap().shape),
  relay: Object.keys(ProjectFile.shape.relay.unwrap().shape),
};

/** Where a key stands; for a missing one, where its nearest parent does. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const part of path) {
    if (!isMap(node)) break;
    const pair = node.items.find(
      (item) => isPair(item) && String(isNode(item.key) ? item.key.toJSON() : item.key) === String(part),
    );
    if (pair === undefined) break;
    if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
    node = pair.value;
  }
  return offset;
}
