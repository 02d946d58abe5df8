import type { RosterEntry } from '../../runtime/agents/contract.ts';
import { InvalidInputError, NotFoundError } from '../../runtime/core/errors.ts';
import { didYouMean } from '../../runtime/core/nearest.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import type { Runtime } from '../../runtime/runtime.ts';

/**
 * Says whether an API key of this entry of the roster is of any use today. Throws NotFoundError for an unknown name,
 * InvalidInputError for one that takes no API key.
 */
export async function checkCredential(
  { agents }: Pick<Runtime, 'agents'>,
  name: string,
): Promise<{ readonly isUsed: boolean }> {
  const { entries } = await agents.roster();
  const entry = entries.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const known = entries.filter(takesApiKey).map((candidate) => candidate.name);
    throw new NotFoundError(`The roster has no "${cleanLine(name, 60)}"`, {
      hint: didYouMean(name, known, '"terok-mcp agent list" shows the names there are.'),
    });
  }
  if (!takesApiKey(entry)) {
    throw new InvalidInputError(`${entry.title} takes no API key`, {
      hint: 'Its file in the roster does not list api_key under auth.modes.',
    });
  }
  return { isUsed: entry.kind === 'tool' && entry.sidecar !== undefined };
}

const takesApiKey = ({ auth }: RosterEntry): boolean => auth?.modes.includes('api_key') ?? false;
