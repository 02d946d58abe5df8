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
    ...[true, false].flatMap((isRestricted) => [
      ...sharedValues(entries, 'the variable', (entry) => inEnvironment(entry, isRestricted)),
      ...overridden(entries, isRestricted),
    ]),
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
  ...Object.values(entry.phantom).flatMap(({ env }) => Object.entries(env)),
];

/** A wrapper sets what its agent always wants: that must not undo the approval or the endpoint of another. */
function overridden(entries: readonly RosterEntry[], isRestricted: boolean): readonly RosterConflict[] {
  const given = entries.flatMap((entry) =>
    inEnvironment(entry, isRestricted).map(([key, value]) => ({ key, value, name: entry.name })),
  );
  return entries.flatMap((entry) =>
    given
      .filter(({ key, value, name }) => {
        const own = entry.kind !== 'tool' && Object.hasOwn(entry.env, key) ? entry.env[key] : undefined;
        return own !== undefined && own !== value && name !== entry.name;
      })
      .map(({ key, name }) => ({
        names: [entry.name, name],
        problem: `both set the variable "${key}", but not to the same`,
      })),
  );
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
