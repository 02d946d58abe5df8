import { InvalidInputError } from '../runtime/core/errors.ts';
import { cleanLine } from '../runtime/core/untrusted-text.ts';
import type { Host } from './host.ts';

const VARIABLE = 'TEROK_LOG_LEVEL';
const LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** How much to log: what the environment says, else `standard`. Throws InvalidInputError for an unknown level. */
export function logLevel(host: Pick<Host, 'env'>, standard: 'info' | 'warn'): string {
  const level = host.env[VARIABLE] || standard;
  if (LEVELS.includes(level)) return level;
  throw new InvalidInputError(`${VARIABLE} is "${cleanLine(level, 40)}", which is no log level`, {
    hint: `Set ${VARIABLE} to one of ${LEVELS.join(', ')}, or unset it.`,
  });
}
