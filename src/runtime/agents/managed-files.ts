import { isMapping } from '../core/deep-merge.ts';
import { InvalidInputError } from '../core/errors.ts';
import { approvalsOf, isAgent } from './agent-channels.ts';
import { sessionHook } from './claude-hook.ts';
import type { AgentConfigFile, AgentRunInput, RosterEntry } from './contract.ts';
import { CredentialKind } from './credential-schemas.ts';
import { type Phantoms, phantomsOf } from './phantoms.ts';

/** One contribution to a file that agents read at a place of their own, like /etc/codex/managed_config.toml. */
interface Fragment {
  readonly path: string;
  readonly content: string;
  readonly from: string;
}

/** What contributions to one file come to; or who wants what cannot be. */
type Joined =
  | { readonly content: string; readonly problem?: undefined }
  | { readonly names: readonly string[]; readonly problem: string };

type Told = Pick<AgentRunInput, 'isRestricted'> & {
  readonly instructions: string;
  readonly phantoms: (entry: RosterEntry) => Pick<Phantoms, 'files'>;
};

/**
 * Files at places of the agents' own choosing, each once, however many contribute to it: what is always there,
 * approvals, hooks and instructions. Throws InvalidInputError when two cannot both be so.
 */
export function managedFiles({
  roster,
  isRestricted,
  settings,
  endpoints,
}: AgentRunInput): readonly AgentConfigFile[] {
  const byPath = fragmentsByPath(roster, {
    isRestricted,
    instructions: settings.instructions,
    phantoms: (entry) => phantomsOf(entry, endpoints),
  });
  return [...byPath].map(([path, parts]) => {
    const joined = join(path, parts);
    if (joined.problem !== undefined) {
      throw new InvalidInputError(`${joined.names.join(' and ')} ${joined.problem}`, {
        hint: 'Correct one of their files in the roster.',
      });
    }
    return { path: `managed${path}`, content: joined.content, isExecutable: false, mountedAt: path };
  });
}

/** Who of a roster could not be in one container, whatever the task, and why. */
export function managedProblems(
  roster: readonly RosterEntry[],
): readonly { readonly names: readonly string[]; readonly problem: string }[] {
  const ways = [true, false].flatMap((isRestricted) =>
    CredentialKind.options.map((kind) => ({ isRestricted, kind })),
  );
  return ways.flatMap(({ isRestricted, kind }) => {
    const byPath = fragmentsByPath(roster, {
      isRestricted,
      instructions: 'x',
      phantoms: ({ phantom }) => ({ files: phantom[kind]?.files ?? [] }),
    });
    const wrong = [...byPath].flatMap(([path, parts]) => {
      const joined = join(path, parts);
      return joined.problem === undefined ? [] : [joined];
    });
    const nested = [...byPath].flatMap(([above, parts]) =>
      [...byPath]
        .filter(([below]) => below.startsWith(`${above}/`))
        .map(([below, inner]) => ({
          names: namesOf([...inner, ...parts]),
          problem: `cannot both have their file: ${below} is below ${above}`,
        })),
    );
    const inState = [...byPath].flatMap(([path, parts]) =>
      roster
        .filter(
          (entry) => isAgent(entry) && entry.state.some((directory) => meet(path, `/home/dev/${directory}`)),
        )
        .map(({ name }) => ({
          names: namesOf(parts).concat(name),
          problem: `the file ${path} would lie where "state" has a directory of the agent's own`,
        })),
    );
    return [...wrong, ...nested, ...inState];
  });
}

/** What is mounted where an agent may put a link would be mounted wherever the link leads. */
const meet = (a: string, b: string): boolean => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);

function fragmentsByPath(
  roster: readonly RosterEntry[],
  told: Told,
): ReadonlyMap<string, readonly Fragment[]> {
  const fragments = new Map<string, Fragment[]>();
  for (const fragment of roster.flatMap((entry) => fragmentsOf(entry, told))) {
    const others = fragments.get(fragment.path) ?? [];
    fragments.set(fragment.path, [...others, fragment]);
  }
  return fragments;
}

/** In TOML keys of the top level come before all tables: the files that are always there, and they alone, may have some. */
function fragmentsOf(entry: RosterEntry, told: Told): readonly Fragment[] {
  const { isRestricted, instructions: text } = told;
  const from = entry.name;
  const always = [...told.phantoms(entry).files, ...entry.files].map((file) => ({ ...file, from }));
  if (!isAgent(entry)) return always;
  const { instructions } = entry;
  const spoken =
    instructions.via === 'toml' && text !== ''
      ? [{ path: instructions.path, content: `${instructions.key} = ${tomlString(text)}\n`, from }]
      : [];
  const approvals = approvalsOf(entry, isRestricted).flatMap((approval) =>
    approval.via === 'file' ? [{ path: approval.path, content: approval.content, from }] : [],
  );
  const hook = entry.session_hook ? [{ ...sessionHook(), from }] : [];
  return [...spoken, ...approvals, ...hook, ...always];
}

const join = (path: string, parts: readonly Fragment[]): Joined =>
  path.endsWith('.json') ? joinJson(parts) : joinText(parts);

function joinText(parts: readonly Fragment[]): Joined {
  const contents = [...new Set(parts.map(({ content }) => content))];
  const [first] = parts;
  const other = parts.find(({ from }) => from !== first?.from);
  if (first !== undefined && other !== undefined && contents.length > 1) return contradiction(first, other);
  return { content: contents.map(withEnd).join('') };
}

const withEnd = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);

function joinJson(parts: readonly Fragment[]): Joined {
  let merged: unknown;
  for (const [index, part] of parts.entries()) {
    const parsed = parse(part.content);
    if (parsed === undefined)
      return { names: [part.from], problem: `puts into ${part.path} what is not JSON` };
    const joined = index === 0 ? parsed : union(merged, parsed.value);
    if (joined === undefined) {
      const earlier = parts.slice(0, index).find((one) => !agree(one, part)) ?? part;
      return contradiction(earlier, part);
    }
    merged = joined.value;
  }
  return { content: `${JSON.stringify(merged, undefined, 2)}\n` };
}

const agree = (a: Fragment, b: Fragment): boolean =>
  union(parse(a.content)?.value, parse(b.content)?.value) !== undefined;

function parse(content: string): { readonly value: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(content);
    return { value };
  } catch {
    return undefined;
  }
}

/** What two values say together; undefined when they contradict each other. */
function union(a: unknown, b: unknown): { readonly value: unknown } | undefined {
  if (JSON.stringify(a) === JSON.stringify(b)) return { value: a };
  if (Array.isArray(a) && Array.isArray(b)) {
    const have = new Set(a.map((element: unknown) => JSON.stringify(element)));
    return { value: [...a, ...b.filter((element: unknown) => !have.has(JSON.stringify(element)))] };
  }
  if (!isMapping(a) || !isMapping(b)) return undefined;
  const entries = new Map(Object.entries(a));
  for (const [key, value] of Object.entries(b)) {
    const joined = entries.has(key) ? union(entries.get(key), value) : { value };
    if (joined === undefined) return undefined;
    entries.set(key, joined.value);
  }
  return { value: Object.fromEntries(entries) };
}

const contradiction = (a: Fragment, b: Fragment): Joined => ({
  names: namesOf([a, b]),
  problem: `want different things in ${a.path}`,
});

const namesOf = (fragments: readonly Fragment[]): readonly string[] => [
  ...new Set(fragments.map(({ from }) => from)),
];

/** A basic string of TOML (https://toml.io/en/v1.0.0#string): JSON's escapes, and DEL; no half surrogates. */
export function tomlString(text: string): string {
  const whole = text.replace(
    /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    '\ufffd',
  );
  return JSON.stringify(whole).replaceAll('\u007f', '\\u007f');
}
