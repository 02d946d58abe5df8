import type { RosterEntry } from '../../agents/contract.ts';
import { InvalidInputError } from '../../core/errors.ts';
import { type ContainerSpec, type IdMapping, LABEL } from '../../engine/contract.ts';
import type { LoginDirectory } from './login-directory-store.ts';

/** `dev` of the images. */
export const LOGIN_USER = 1000;
/** A person who went away has left it. */
export const LOGIN_LIFETIME_S = 30 * 60;
const MAX_LOG_BYTES = 1024 * 1024;

/**
 * Waits for somebody to look, then becomes the vendor's program: what is shown before that is lost. A callback comes in
 * at the container's own address, and vendors listen on its loopback.
 */
const PROGRAM = `
ulimit -c 0
ports=$1
shift
until [ "$(stty size)" != '0 0' ] || read -r -t 0; do sleep 0.05; done
sleep 0.2
address=$(hostname -I)
for port in $ports; do
  socat "TCP-LISTEN:$port,bind=\${address%% *},fork,reuseaddr" "TCP:127.0.0.1:$port" < /dev/null > /dev/null 2>&1 &
done
exec "$@"
`;

export interface LoginContainerInput {
  readonly entry: Pick<RosterEntry, 'name' | 'title'>;
  readonly name: string;
  readonly image: string;
  readonly instance: string;
  readonly login: { readonly command: readonly string[]; readonly publish: readonly string[] };
  /** Where the login leaves its files, inside. */
  readonly home: string;
  readonly directory: LoginDirectory;
  readonly idMapping: IdMapping;
  readonly networkProgram: 'slirp4netns' | 'pasta';
}

/**
 * The container of one login (pure): the vendor's program, an empty directory and the internet; no workspace, no gate,
 * no token, no privilege. Throws InvalidInputError for a port that is not on the loopback.
 */
export function loginContainer(input: LoginContainerInput): ContainerSpec {
  const ports = input.login.publish.map((publish) => loopbackPort(publish, input.entry.title));
  return {
    name: input.name,
    hostname: 'login',
    image: input.image,
    command: ['/bin/bash', '-c', PROGRAM, 'login', ports.join(' '), ...input.login.command],
    workdir: '/home/dev',
    user: LOGIN_USER,
    idMapping: input.idMapping,
    environment: { TERM: 'xterm-256color' },
    labels: { [LABEL.login]: input.instance, [LABEL.agent]: input.entry.name },
    mounts: [{ hostPath: input.directory.home, containerPath: input.home, readOnly: false }],
    devices: { cdi: [], nodes: [], keepGroups: false },
    terminal: true,
    network: { kind: 'open', program: input.networkProgram, loopbackPorts: ports },
    capabilities: [],
    noNewPrivileges: true,
    limits: undefined,
    log: { hostPath: input.directory.log, maxBytes: MAX_LOG_BYTES },
    stopTimeoutS: 1,
    lifetimeS: LOGIN_LIFETIME_S,
  };
}

function loopbackPort(publish: string, title: string): number {
  const [, host, inside] = /^127\.0\.0\.1:(\d{1,5}):(\d{1,5})$/.exec(publish) ?? [];
  const port = Number(host);
  if (host !== undefined && host === inside && port >= 1024 && port <= 65_535) return port;
  throw new InvalidInputError(`The login of ${title} wants a port that is not on this machine's loopback`, {
    hint: 'auth.login.publish takes 127.0.0.1:PORT:PORT, with the same port from 1024 on.',
  });
}
