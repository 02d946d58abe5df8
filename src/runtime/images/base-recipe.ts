import { asNothing, asText, type Command } from '../core/command.ts';
import { INDEX_FORMAT } from './apt-sources.ts';
import { sha256 } from './layers.ts';

/** What tasks run on where it can be had. */
export const PUBLISHED_BASE = 'docker.io/library/ubuntu:24.04';
/** What we build where it cannot; the tag says what it is. */
export const LOCAL_BASE = 'localhost/terok-base:debian-trixie';
export const LOCAL_SUITE = 'trixie';

const BUILD_TIMEOUT_MS = 900_000;

/** Documentation and translations stay out; licence texts must not (they are the condition of copying). */
const DPKG_OPTIONS = [
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-include=/usr/share/locale/locale.alias',
] as const;

const OPTIONS = [
  '--variant=minbase',
  '--format=tar',
  ...DPKG_OPTIONS.map((option) => `--dpkgopt=${option}`),
] as const;

/** Identifies what a local base contains: a new recipe means a new archive and a new image. */
export function recipeHash(architecture: string): string {
  return sha256(JSON.stringify([LOCAL_SUITE, architecture, OPTIONS]));
}

export function archiveName(architecture: string): string {
  return `debian-${LOCAL_SUITE}-${recipeHash(architecture).slice(0, 16)}.tar`;
}

/** Builds a root file system archive from these apt sources; needs no root when it may use subordinate ids. */
export function buildRootFilesystem(options: {
  readonly isRoot: boolean;
  readonly archive: string;
  readonly sources: readonly string[];
  readonly keyrings: readonly string[];
  readonly proxies: readonly string[];
}): Command<void> {
  return {
    file: 'mmdebstrap',
    args: [
      `--mode=${options.isRoot ? 'root' : 'unshare'}`,
      ...OPTIONS,
      ...options.keyrings.map((keyring) => `--keyring=${keyring}`),
      ...options.proxies.map((proxy) => `--aptopt=${proxy}`),
      '--',
      LOCAL_SUITE,
      options.archive,
      '-',
    ],
    input: `${options.sources.join('\n')}\n`,
    timeoutMs: BUILD_TIMEOUT_MS,
    // It finishes its current step and takes its scratch directory away, which no ordinary user could.
    graceMs: 60_000,
    parse: asNothing,
  };
}

export const listAptIndexes: Command<string> = {
  file: 'apt-get',
  args: ['indextargets', `--format=${INDEX_FORMAT}`, 'Created-By: Packages'],
  parse: asText,
};

export const dumpAptConfig: Command<string> = { file: 'apt-config', args: ['dump'], parse: asText };

/** Whether the registry that an image's name begins with can be found at all. Answers in milliseconds offline. */
export function resolveRegistry(image: string): Command<boolean> {
  return {
    file: 'getent',
    args: ['ahosts', '--', (image.split('/')[0] ?? '').replace(/:[0-9]+$/, '')],
    okCodes: [0, 1, 2],
    timeoutMs: 5_000,
    parse: ({ exitCode }) => exitCode === 0,
  };
}
