import { deepMerge, INHERIT, isMapping } from '../core/deep-merge.ts';
import { checkUnsetKeys, checkValue, locateProblems } from '../core/schema-problems.ts';
import { type DocumentProblem, type KeyPath, parseYaml, showKey } from '../core/yaml-document.ts';
import { ProjectFile } from './contract.ts';

type Mapping = Readonly<Record<string, unknown>>;

export type ProjectDocument =
  | { readonly settings: ProjectFile; readonly ownKeys: readonly string[]; readonly problems?: undefined }
  | { readonly settings?: undefined; readonly problems: readonly DocumentProblem[] };

/**
 * Parses the text of a `project.yml` and lays it over what `config.yml` says, but for `agent`, whose layers are
 * merged when an agent is run. Every problem knows its line. What is inherited has been validated on its own, so
 * that whatever is wrong with the whole is the project's.
 */
export function parseProjectDocument(
  text: string,
  options: { readonly id: string; readonly inherited: Mapping },
): ProjectDocument {
  const { document, problems } = parseYaml(text);
  if (document === undefined) return { problems };
  const raw = document.value ?? {};
  const own = isMapping(raw) ? raw : undefined;
  if (own === undefined) {
    return { problems: [{ line: document.lineOf([]), key: '', problem: 'must be a mapping' }] };
  }
  const unset = locateProblems(document, checkUnsetKeys(ProjectFile, own));
  const merged = withOwnAgent(deepMerge(options.inherited, own), own);
  const unmet = unmetMarks(merged).map((path) => ({
    line: document.lineOf(path),
    key: showKey(path),
    problem: `has "${INHERIT}", and config.yml has nothing to inherit there`,
  }));
  const checked = checkValue(ProjectFile, merged);
  const wrong = locateProblems(document, checked.problems ?? []).map(withUpstreamHint);
  const all = [...unset, ...unmet, ...wrong];
  if (checked.data === undefined || all.length > 0) return { problems: all };
  const { id } = checked.data.project;
  if (id === undefined || id === options.id) return { settings: checked.data, ownKeys: Object.keys(own) };
  return {
    problems: [
      {
        line: document.lineOf(['project', 'id']),
        key: 'project.id',
        problem: `must equal the name of the directory, "${options.id}"`,
      },
    ],
  };
}

function withOwnAgent(merged: Mapping, own: Mapping): Mapping {
  const { agent: _, ...rest } = merged;
  const agent = own['agent'];
  return agent === undefined || agent === null || agent === INHERIT ? rest : { ...rest, agent };
}

/** An `_inherit` that is still there would be taken for the name of something. */
function unmetMarks(value: unknown, path: KeyPath = []): readonly KeyPath[] {
  if (value === INHERIT) return [path];
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, index) => unmetMarks(item, [...path, index]));
  }
  if (!isMapping(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    path.length === 0 && key === 'agent' ? [] : unmetMarks(inner, [...path, key]),
  );
}

function withUpstreamHint(problem: DocumentProblem): DocumentProblem {
  if (problem.problem !== 'is missing' || !['git', 'git.upstream_url'].includes(problem.key)) return problem;
  return {
    ...problem,
    key: 'git.upstream_url',
    problem: 'is missing; a project needs the address of its real repository',
  };
}
