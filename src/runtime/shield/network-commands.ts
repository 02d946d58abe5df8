import { asExitCode, asNothing, asText, type Command, type DetachedCommand } from '../core/command.ts';
import { type NftListing, parseListing } from './nft-listing.ts';

/** Argument prefix that puts a program into the namespaces which own task networks; empty for root. */
export type NamespacePrefix = readonly string[];

const prefixed = (
  prefix: NamespacePrefix,
  args: readonly [string, ...string[]],
): { file: string; args: string[] } => {
  const [file = '', ...rest] = [...prefix, ...args];
  return { file, args: rest };
};

/** A new namespace, its rules, and its pin, in one step; the answer is what the kernel holds. */
export const pinNamespace = (
  prefix: NamespacePrefix,
  script: string,
  pin: string,
  ruleset: string,
): Command<NftListing> => ({
  ...prefixed(prefix, ['unshare', '--net', '--', '/bin/sh', script, pin]),
  input: ruleset,
  parse: parseListing,
});

/** Loads the ruleset into a throw-away namespace: what the kernel makes of it is what every pin must show. */
export const tryRuleset = (
  prefix: NamespacePrefix,
  script: string,
  ruleset: string,
): Command<NftListing> => ({
  ...prefixed(prefix, ['unshare', '--net', '--mount', '--', '/bin/sh', script, '/dev/null']),
  input: ruleset,
  parse: parseListing,
});

export const listRules = (prefix: NamespacePrefix, pin: string): Command<NftListing> => ({
  ...prefixed(prefix, ['nsenter', `--net=${pin}`, '--', 'nft', '-j', 'list', 'ruleset']),
  parse: parseListing,
});

export const loadRules = (prefix: NamespacePrefix, pin: string, rules: string): Command<void> => ({
  ...prefixed(prefix, ['nsenter', `--net=${pin}`, '--', 'nft', '-f', '-']),
  input: rules,
  parse: asNothing,
});

/** Gives the network of a running process a name again. */
export const pinProcess = (prefix: NamespacePrefix, pid: number, pin: string): Command<void> => ({
  ...prefixed(prefix, ['mount', '--bind', `/proc/${pid}/ns/net`, pin]),
  parse: asNothing,
});

/** Lazy, so that it works while the container still runs. Not mounted counts as done. */
export const unpin = (prefix: NamespacePrefix, pin: string): Command<number> => ({
  ...prefixed(prefix, ['umount', '--lazy', '--', pin]),
  okCodes: [0, 1, 32],
  parse: asExitCode,
});

/** Type of the file system mounted at the pin: `nsfs` when it names a namespace. */
export const pinType = (prefix: NamespacePrefix, pin: string): Command<string> => ({
  ...prefixed(prefix, ['stat', '--file-system', '--format=%T', '--', pin]),
  okCodes: [0, 1],
  parse: (output) => asText(output).trim(),
});

/** User-mode network without a way to the host's loopback and without a resolver. Ready when it says so on fd 3. */
export const startSlirp = (prefix: NamespacePrefix, pin: string, logFile: string): DetachedCommand => ({
  ...prefixed(prefix, [
    'slirp4netns',
    '--configure',
    '--mtu=65520',
    '--disable-host-loopback',
    '--disable-dns',
    '--enable-ipv6',
    '--netns-type=path',
    '--ready-fd=3',
    pin,
    'tap0',
  ]),
  logFile,
  readyFd: 3,
  timeoutMs: 10_000,
});

/** The same with pasta, which returns when the network is there and goes on by itself. */
export const startPasta = (
  prefix: NamespacePrefix,
  pin: string,
  options: { readonly asRoot: boolean },
): Command<void> => ({
  ...prefixed(prefix, [
    'pasta',
    '--config-net',
    '--no-map-gw',
    ...['--tcp-ports', '--udp-ports', '--tcp-ns', '--udp-ns'].map((flag) => `${flag}=none`),
    '--netns-only',
    ...(options.asRoot ? ['--runas=0:0'] : []),
    `--netns=${pin}`,
  ]),
  parse: asNothing,
});
