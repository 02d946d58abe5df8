import type { Roster, RosterEntry } from '../agents/contract.ts';
import { InvalidInputError } from '../core/errors.ts';
import { didYouMean, quoted } from '../core/nearest.ts';
import type { Secret } from '../core/secret.ts';
import { SecretText, type StoredCredential } from './stored-credential.ts';

/**
 * What somebody typed or piped, as the credential that the entry takes: an API key, else a personal access token.
 * Throws InvalidInputError for a name that is not known, an entry that takes neither, and a text that is no key.
 */
export function storableKey({
  provider,
  key,
  roster,
}: {
  readonly provider: string;
  readonly key: Secret;
  readonly roster: Roster;
}): StoredCredential {
  const kind = kindTaken(entryOf(provider, roster));
  const text = key.reveal();
  if (!SecretText.safeParse(text).success) {
    throw new InvalidInputError('This is no API key', {
      hint: 'A key is one line of at most 16384 printable ASCII characters, without spaces.',
    });
  }
  return kind === 'api_key' ? { kind, key: text } : { kind, token: text, host: null };
}

function entryOf(provider: string, { entries, broken }: Roster): RosterEntry {
  const problem = broken.find(({ name }) => name === provider)?.problem;
  if (problem !== undefined)
    throw new InvalidInputError(problem, { hint: `Correct the file of ${quoted(provider)}.` });
  const entry = entries.find(({ name }) => name === provider);
  if (entry !== undefined) return entry;
  const known = entries.filter(({ auth }) => auth !== undefined).map(({ name }) => name);
  throw new InvalidInputError(`There is no agent or tool named ${quoted(provider)}`, {
    hint: didYouMean(provider, known, `Those with credentials: ${known.join(', ')}.`),
  });
}

function kindTaken({ name, title, auth }: RosterEntry): 'api_key' | 'pat' {
  for (const kind of ['api_key', 'pat'] as const) if (auth?.modes.includes(kind) === true) return kind;
  throw new InvalidInputError(`${title} takes no API key`, {
    hint:
      auth === undefined
        ? 'It needs no credential of its own.'
        : `Log in instead: "terok-mcp auth ${name}" on this machine.`,
  });
}
