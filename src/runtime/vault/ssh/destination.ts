import { InvalidInputError } from '../../core/errors.ts';
import { cleanLine } from '../../core/untrusted-text.ts';

/** Where somebody logs in, and as whom. */
export interface Destination {
  readonly user: string;
  /** Lower case; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORT = 22;
const FORM = /^([A-Za-z0-9._-]{1,64})@([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?$/;

/** `user@host`, `user@host:port` or `user@[address]:port`. Throws InvalidInputError for anything else. */
export function parseDestination(text: string): Destination {
  const [, user, host, port = String(DEFAULT_PORT)] = FORM.exec(text) ?? [];
  const number = Number(port);
  // A host that begins with "-" would be an option to ssh.
  if (user === undefined || host === undefined || host.startsWith('-') || number < 1 || number > 65_535) {
    throw new InvalidInputError(`"${cleanLine(text, 80)}" is no place to log in`, {
      hint: 'Write it like "git@github.com", or with a port like "git@example.org:2222".',
    });
  }
  return { user, host: host.replace(/^\[|\]$/g, '').toLowerCase(), port: number };
}

/** As known_hosts names it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): the port only where it is not 22. */
export const knownName = ({ host, port }: Pick<Destination, 'host' | 'port'>): string =>
  port === DEFAULT_PORT ? host : `[${host}]:${port}`;

export function destinationText({ user, host, port }: Destination): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return `${user}@${shown}${port === DEFAULT_PORT ? '' : `:${port}`}`;
}
