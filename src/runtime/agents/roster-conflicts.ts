import { approvalEnvironment, isAgent } from './agent-channels.ts';
import type { RosterEntry } from './contract.ts';
import { managedProblems } from './managed-files.ts';

/** Something two or more entries say that cannot all be so. */
export interface RosterConflict {
  /** Names of those involved, the one that is to be corrected first. */
  readonly names: readonly string[];
  readonly problem: string;
}

/** What no file shows by itself (pure). */
export function findConflicts(entries: readonly RosterEntry[]): readonly RosterConflict[] {
  return [
    ...sharedValues(entries, 'the route prefix', (entry) =>
      entry.route === undefined ? [] : [[entry.route.prefix, entry.name]],
    ),
    ...[true, false].flatMap((isRestricted) =>
      sharedValues(entries, 'the variable', (entry) => inEnvironment(entry, isRestricted)),
    ),
    ...overridden(entries),
    ...managedProblems(entries),
    ...sharedValues(entries, 'the version of the package', packageVersions),
    ...sharedValues(entries, 'the program', (entry) => Object.entries(entry.install.programs)),
    ...unknownRequirements(entries),
    ...requirementCycles(entries),
  ];
}

type Pairs = readonly (readonly [key: string, value: string])[];

/** Two entries that give one thing different values. */
function sharedValues(
  entries: readonly RosterEntry[],
  what: string,
  pairsOf: (entry: RosterEntry) => Pairs,
): readonly RosterConflict[] {
  const first = new Map<string, { readonly value: string; readonly name: string }>();
  return entries.flatMap((entry) =>
    pairsOf(entry).flatMap(([key, value]) => {
      const before = first.get(key);
      if (before === undefined) first.set(key, { value, name: entry.name });
      if (before === undefined || before.value === value || before.name === entry.name) return [];
      return [
        { names: [entry.name, before.name], problem: `both set ${what} "${key}", but not to the same` },
      ];
    }),
  );
}

/** All of these may stand in the environment of one container at once. */
const inEnvironment = (entry: RosterEntry, isRestricted: boolean): Pairs => [
  ...(isAgent(entry) ? approvalEnvironment(entry, isRestricted) : []),
  ...inEndpoints(entry),
];

const inEndpoints = ({ phantom }: RosterEntry): Pairs =>
  Object.values(phantom).flatMap(({ env }) => Object.entries(env));

/**
 * What an agent is always given must not undo an approval or the endpoint of another, and what lets one act without
 * asking must not be there always: in a restricted task it would be an approval all the same.
 */
function overridden(entries: readonly RosterEntry[]): readonly RosterConflict[] {
  const approvals = entries.filter(isAgent).flatMap((agent) =>
    [true, false].flatMap((isRestricted) =>
      approvalEnvironment(agent, isRestricted).map(([key, value]) => ({
        key,
        // Undefined: there is none to agree on.
        value: isRestricted ? value : undefined,
        name: agent.name,
      })),
    ),
  );
  const endpoints = entries.flatMap((entry) =>
    inEndpoints(entry).map(([key, value]) => ({ key, value, name: entry.name })),
  );
  const undone = (entry: RosterEntry, pairs: readonly Always[], given: typeof approvals) =>
    pairs.flatMap(([key, value]) =>
      given
        .filter((one) => one.key === key && (one.value === undefined || one.value !== value))
        .map(({ name, value: agreed }) => ({
          names: [entry.name, name],
          problem: [
            name === entry.name ? `sets the variable "${key}" twice` : `both set the variable "${key}"`,
            agreed === undefined ? 'which is an approval in unrestricted tasks' : 'but not to the same',
          ].join(', '),
        })),
    );
  return entries.flatMap((entry) => [
    ...undone(entry, [...always(entry), ...inEndpoints(entry)], approvals),
    ...undone(entry, always(entry), endpoints),
  ]);
}

type Always = readonly [key: string, value: string | undefined];

/** Without a value: only a task knows it. */
function always(entry: RosterEntry): readonly Always[] {
  if (entry.kind === 'tool') return [];
  if (entry.kind === 'web') return Object.entries(entry.env);
  const { env, acp, headless, instructions } = entry;
  const named = [
    headless.model_env,
    headless.log_env,
    instructions.via === 'env_dir' ? instructions.env : undefined,
  ];
  return [
    ...[env, headless.env, acp?.env ?? {}].flatMap((each) => Object.entries(each)),
    ...named.flatMap((name): readonly Always[] => (name === undefined ? [] : [[name, undefined]])),
  ];
}

function packageVersions({ install }: RosterEntry): Pairs {
  const versions = (packages: Readonly<Record<string, { readonly version: string }>>): Pairs =>
    Object.entries(packages).map(([name, { version }]) => [name, version]);
  return [...versions(install.npm), ...versions(install.pip)];
}

function unknownRequirements(entries: readonly RosterEntry[]): readonly RosterConflict[] {
  const known = new Set(entries.map(({ name }) => name));
  return entries.flatMap(({ name, install }) =>
    install.requires
      .filter((required) => !known.has(required))
      .map((required) => ({
        names: [name],
        problem: `install.requires: there is no "${required}" in the roster`,
      })),
  );
}

function requirementCycles(entries: readonly RosterEntry[]): readonly RosterConflict[] {
  const requires = new Map(entries.map(({ name, install }) => [name, install.requires]));
  const done = new Set<string>();
  const visit = (name: string, above: readonly string[]): readonly RosterConflict[] => {
    const start = above.indexOf(name);
    if (start >= 0) {
      const cycle = above.slice(start);
      return [
        { names: cycle, problem: `install.requires goes in a circle: ${[...cycle, name].join(' → ')}` },
      ];
    }
    if (done.has(name)) return [];
    const found = (requires.get(name) ?? []).flatMap((required) => visit(required, [...above, name]));
    done.add(name);
    return found;
  };
  return entries.flatMap(({ name }) => visit(name, []));
}
