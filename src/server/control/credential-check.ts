import type { z } from 'zod';
import type { RosterEntry } from '../../runtime/agents/contract.ts';
import { InvalidInputError, NotFoundError } from '../../runtime/core/errors.ts';
import { didYouMean } from '../../runtime/core/nearest.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { vaultMethods } from './vault-methods.ts';

/**
 * Says how this entry of the roster can be given a credential. Throws NotFoundError for an unknown name,
 * InvalidInputError for one that takes none.
 */
export async function checkCredential(
  { agents }: Pick<Runtime, 'agents'>,
  name: string,
): Promise<z.output<typeof vaultMethods.credentialsCheck.result>> {
  const { entries } = await agents.roster();
  const entry = entries.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const known = entries
      .filter((candidate) => takesKey(candidate) || hasLogin(candidate))
      .map((candidate) => candidate.name);
    throw new NotFoundError(`The roster has no "${cleanLine(name, 60)}"`, {
      hint: didYouMean(name, known, '"terok-mcp agent list" shows the names there are.'),
    });
  }
  if (!takesKey(entry) && !hasLogin(entry)) {
    throw new InvalidInputError(`${entry.title} takes no credential`, {
      hint: 'Its file in the roster has no section auth.',
    });
  }
  return {
    title: entry.title,
    takesKey: takesKey(entry),
    hasLogin: hasLogin(entry),
    hint: entry.auth?.api_key_hint ?? null,
  };
}

const takesKey = ({ auth }: RosterEntry): boolean =>
  auth?.modes.some((mode) => mode === 'api_key' || mode === 'pat') ?? false;

const hasLogin = ({ auth }: RosterEntry): boolean => auth?.login !== undefined;
