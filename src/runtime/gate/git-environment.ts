import type { UpstreamTransport } from '../core/upstream-url.ts';
import type { SshAccess } from './contract.ts';

/** What host-side git may know of this machine. */
export interface GitHost {
  /** Of the caller's environment only PATH, proxies and certificate locations are used. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** An empty directory. */
  readonly home: string;
  /** Trusts repositories of other users; used to read a local upstream, never to write one. */
  readonly trustingConfig: string;
}

export interface GitEnvironmentOptions {
  readonly gitDir?: string | undefined;
  readonly config?: readonly (readonly [key: string, value: string])[] | undefined;
  /** The one transport this call may use. Without it git can reach nothing. */
  readonly transport?: UpstreamTransport | undefined;
  readonly trustsOtherOwners?: boolean | undefined;
  /** File with what the upstream wants to see, in the format of git-credential-store(1). */
  readonly credentials?: string | undefined;
  /** Without it no key is used at all. */
  readonly ssh?: SshAccess | undefined;
}

const PASSED_ON = [
  'PATH',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'GIT_SSL_CAINFO',
  'CURL_CA_BUNDLE',
];

/**
 * Settings for every git process of the host. Repositories hold what agents pushed: nothing in one may name a
 * program that runs here. They go in through the environment, which no file of a repository can override.
 */
const ALWAYS: readonly (readonly [string, string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.askPass', ''],
  // A difference of one pushed file costs forty times its size in memory; larger ones are shown as binary.
  ['core.bigFileThreshold', '1m'],
  ['core.filesRefLockTimeout', '10000'],
  ['core.packedRefsTimeout', '10000'],
  ['credential.helper', ''],
  ['diff.renameLimit', '400'],
  ['fetch.recurseSubmodules', 'false'],
  ['gc.auto', '0'],
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '60'],
  ['log.showSignature', 'false'],
  ['maintenance.auto', 'false'],
  ['protocol.allow', 'never'],
  ['submodule.recurse', 'false'],
];

/** The whole environment of a git process, except what a request adds. */
export function gitEnvironment(
  host: GitHost,
  options: GitEnvironmentOptions = {},
): Readonly<Record<string, string>> {
  const transport =
    options.transport === undefined ? [] : [[`protocol.${options.transport}.allow`, 'always'] as const];
  // Behind the empty helper of above, so this is the only one.
  const credentials =
    options.credentials === undefined
      ? []
      : [['credential.helper', `store --file=${shellQuoted(options.credentials)}`] as const];
  const config = [...ALWAYS, ...transport, ...credentials, ...(options.config ?? [])];
  const passedOn = PASSED_ON.flatMap((name) => {
    const value = host.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(passedOn),
    LC_ALL: 'C',
    HOME: host.home,
    XDG_CONFIG_HOME: host.home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: options.trustsOtherOwners === true ? host.trustingConfig : '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    GIT_NO_LAZY_FETCH: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_SSH_COMMAND: sshCommand(options.ssh),
    ...(options.gitDir === undefined ? {} : { GIT_DIR: options.gitDir }),
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  };
}

/** No configuration, key or agent of the person is used, and no host but one whose key a person has seen. */
function sshCommand({ agentSocket, knownHosts }: SshAccess = NO_ACCESS): string {
  const options = [
    'BatchMode=yes',
    'ClearAllForwardings=yes',
    'ConnectTimeout=15',
    `IdentityAgent="${agentSocket}"`,
    'GlobalKnownHostsFile=/dev/null',
    'IdentityFile=none',
    'PreferredAuthentications=publickey',
    'UpdateHostKeys=no',
    'PermitLocalCommand=no',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile="${knownHosts}"`,
  ];
  return ['ssh', '-F', '/dev/null', ...options.flatMap((option) => ['-o', shellQuoted(option)])].join(' ');
}

const NO_ACCESS: SshAccess = { agentSocket: 'none', knownHosts: '/dev/null' };

const shellQuoted = (text: string): string =>
  /^[A-Za-z0-9=/.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
