import type { Roster, RosterEntry } from '../agents/contract.ts';
import { InvalidInputError, NotFoundError } from '../core/errors.ts';
import { didYouMean } from '../core/nearest.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { PackageFamily, SkippedAgent } from './contract.ts';

/** What an image gets: agents in the order they are installed, and those that are left out beforehand. */
export interface AgentSelection {
  readonly entries: readonly RosterEntry[];
  readonly skipped: readonly SkippedAgent[];
}

/**
 * Agents and tools for an image with agents. Throws NotFoundError (with the nearest names) for an unknown one, and
 * InvalidInputError for one whose file cannot be used or that requires itself.
 */
export function selectAgents(
  roster: Roster,
  wanted: 'all' | readonly string[],
  family: PackageFamily,
): AgentSelection {
  const known = new Map(roster.entries.map((entry) => [entry.name, entry]));
  const names =
    wanted === 'all' ? roster.entries.map(({ name }) => name).sort() : [...new Set(wanted)].sort();
  for (const name of names) if (!known.has(name)) throw unknownAgent(roster, name);
  return order(names, known, (entry) => {
    if (entry.kind === 'tool' && entry.sidecar !== undefined)
      return 'it gets a real credential, so it is only in the image of sidecar tools';
    return hasWay(entry, family) ? undefined : `there is no ${family} package of it`;
  });
}

/** The tools that get a real credential, all in one image of their own. */
export function selectSidecarTools(roster: Roster, family: PackageFamily): AgentSelection {
  const known = new Map(roster.entries.map((entry) => [entry.name, entry]));
  const tools = roster.entries.filter((entry) => entry.kind === 'tool' && entry.sidecar !== undefined);
  return order(tools.map(({ name }) => name).sort(), known, (entry) =>
    hasWay(entry, family) ? undefined : `there is no ${family} package of it`,
  );
}

/** Those without which some entry is left out, each after what it requires. */
function order(
  names: readonly string[],
  known: ReadonlyMap<string, RosterEntry>,
  whyNot: (entry: RosterEntry) => string | undefined,
): AgentSelection {
  const entries: RosterEntry[] = [];
  const skipped = new Map<string, string>();
  const isSettled = (name: string): boolean =>
    skipped.has(name) || entries.some((entry) => entry.name === name);
  const visit = (name: string, path: readonly string[]): void => {
    const entry = known.get(name);
    if (path.includes(name)) {
      throw new InvalidInputError(`Agents require each other: ${[...path, name].join(', ')}`, {
        hint: 'Take one of them out of the other\'s "install.requires".',
      });
    }
    if (entry === undefined || isSettled(name)) return;
    for (const required of entry.install.requires) visit(required, [...path, name]);
    const lacking = entry.install.requires.find((required) => !known.has(required) || skipped.has(required));
    const reason =
      whyNot(entry) ?? (lacking === undefined ? undefined : `it needs ${lacking}, which is left out`);
    if (reason === undefined) entries.push(entry);
    else skipped.set(name, reason);
  };
  for (const name of names) visit(name, []);
  return { entries, skipped: [...skipped].map(([name, reason]) => ({ name, reason })) };
}

/** Whether this family can have it: packages of the other one alone are no way. */
function hasWay({ install }: RosterEntry, family: PackageFamily): boolean {
  const [own, other] = family === 'deb' ? [install.apt, install.rpm] : [install.rpm, install.apt];
  return (
    own.length > 0 ||
    other.length === 0 ||
    install.bundled.length > 0 ||
    install.shell !== undefined ||
    [install.npm, install.pip, install.programs].some((record) => Object.keys(record).length > 0)
  );
}

function unknownAgent(roster: Roster, name: string): Error {
  const broken = roster.broken.find((problem) => problem.name === name);
  if (broken !== undefined)
    return new InvalidInputError(`The agent "${name}" cannot be used: ${broken.problem}`);
  const names = roster.entries.map((entry) => entry.name);
  return new NotFoundError(`docker.agents names "${cleanLine(name)}", which is no agent or tool`, {
    hint: didYouMean(name, names, `There are: ${names.join(', ')}.`),
  });
}
