import { randomBytes } from 'node:crypto';
import type { CredentialKind, Roster, RosterEntry } from '../agents/contract.ts';
import { InvalidInputError } from '../core/errors.ts';
import { didYouMean, quoted } from '../core/nearest.ts';
import { Secret } from '../core/secret.ts';
import type { Project } from '../projects/contract.ts';
import type { CredentialGrant, CredentialInfo, GrantPlan } from './contract.ts';
import type { CredentialStore } from './parts.ts';

export interface GrantRequest {
  readonly project: Project;
  readonly agent: string;
  readonly mode: 'headless' | 'interactive' | 'web' | 'dev';
}

/**
 * What a task gets to use: nothing is made valid by it. Which entries is up to `vault.agents` of the project, else to
 * the mode: a headless run needs its own agent and what agents call, people may start any. Throws InvalidInputError
 * for a name that the roster does not know.
 */
export function planGrants(
  { project, agent, mode }: GrantRequest,
  known: { readonly roster: Roster; readonly store: Pick<CredentialStore, 'find' | 'sshKeys' | 'status'> },
): GrantPlan {
  const { roster, store } = known;
  const entries = wantedEntries({ project, agent, mode }, roster);
  const named = project.settings.vault.agents;
  const plans = entries.map((entry) => {
    const info = store.find(entry.name, project.id);
    const isMissed = named?.includes(entry.name) ?? entry.name === agent;
    return info === undefined ? missing(entry, isMissed) : planned(entry, info, project);
  });
  const grants = plans.flatMap(({ grant }) => (grant === undefined ? [] : [grant]));
  const ssh = planSshAgent(project, store);
  const warnings = [...plans.flatMap((plan) => plan.warnings), ...ssh.warnings];
  const isLocked = grants.length + (ssh.hasSshAgent ? 1 : 0) > 0 && store.status().state === 'locked';
  return { grants, hasSshAgent: ssh.hasSshAgent, warnings: isLocked ? [...warnings, LOCKED] : warnings };
}

const LOCKED =
  'The vault is locked, so credentials are there and cannot be used yet: run "terok-mcp vault unlock" on this machine.';

function wantedEntries({ project, agent, mode }: GrantRequest, roster: Roster): readonly RosterEntry[] {
  const { vault, relay } = project.settings;
  // What is sent to the model server of this machine needs no credential of a vendor.
  const isRelayed = ({ kind, phantom }: RosterEntry): boolean =>
    relay !== undefined && kind === 'agent' && phantom.api_key !== undefined;
  const named = vault.agents;
  if (named !== undefined) {
    const entries = [...new Set(named)].map((name) => entryNamed(name, roster, project));
    return entries.filter((entry) => !isRelayed(entry));
  }
  return roster.entries.filter(
    (entry) =>
      !isRelayed(entry) &&
      !runsAlone(entry) &&
      (mode !== 'headless' || entry.kind === 'tool' || entry.name === agent),
  );
}

/** It gets its credential in a container of its own, and has no use for one here. */
const runsAlone = (entry: RosterEntry): boolean => entry.kind === 'tool' && entry.sidecar !== undefined;

function entryNamed(name: string, { entries, broken }: Roster, project: Project): RosterEntry {
  const problem = broken.find((one) => one.name === name)?.problem;
  if (problem !== undefined)
    throw new InvalidInputError(problem, { hint: `Correct the file of ${quoted(name)}.` });
  const entry = entries.find((one) => one.name === name);
  if (entry !== undefined) return entry;
  throw new InvalidInputError(
    `vault.agents of "${project.id}" names ${quoted(name)}, which is neither an agent nor a tool`,
    { hint: didYouMean(name, namesOf(entries), `Known: ${namesOf(entries).join(', ')}.`) },
  );
}

const namesOf = (entries: readonly RosterEntry[]): readonly string[] => entries.map(({ name }) => name);

interface Planned {
  readonly grant?: CredentialGrant | undefined;
  readonly warnings: readonly string[];
}

function missing({ name, title, auth }: RosterEntry, isMissed: boolean): Planned {
  if (!isMissed || auth === undefined) return { warnings: [] };
  return {
    warnings: [`There is no credential for ${title}: run "terok-mcp auth ${name}" on this machine.`],
  };
}

function planned(entry: RosterEntry, info: CredentialInfo, { settings }: Project): Planned {
  const { kind, set, problem } = info;
  const { name, title, route } = entry;
  const phantom = entry.phantom[kind];
  if (phantom === undefined || route?.auth[kind] === undefined) {
    return {
      warnings: [`${title} cannot be given ${CALLED[kind]}, and that is what is stored for it.`],
    };
  }
  const isUncounted =
    settings.vault.budget?.usd !== undefined && entry.kind === 'agent' && route.usage === undefined;
  return {
    grant: { provider: name, set, kind, token: newToken(phantom.token_prefix) },
    warnings: [
      ...(problem === undefined ? [] : [`The login of ${title} cannot be renewed. ${problem}`]),
      ...(isUncounted
        ? [`What ${title} spends cannot be told from its answers, so of its budget only the requests count.`]
        : []),
    ],
  };
}

const CALLED = {
  oauth: 'a login',
  api_key: 'an API key',
  oauth_token: 'an OAuth token',
  pat: 'a personal access token',
} as const satisfies Record<CredentialKind, string>;

/** Worth nothing but at the socket of its task. */
const newToken = (prefix: string): Secret => new Secret(`${prefix}terokp${randomBytes(32).toString('hex')}`);

function planSshAgent(
  { id, settings: { ssh } }: Project,
  store: Pick<CredentialStore, 'sshKeys'>,
): { readonly hasSshAgent: boolean; readonly warnings: readonly string[] } {
  if (!store.sshKeys().some(({ project }) => project === id)) return { hasSshAgent: false, warnings: [] };
  if (ssh.destinations.length > 0 || ssh.signatures) return { hasSshAgent: true, warnings: [] };
  return {
    hasSshAgent: false,
    warnings: [`The SSH key of "${id}" is not used: ssh.destinations of the project names no place for it.`],
  };
}
