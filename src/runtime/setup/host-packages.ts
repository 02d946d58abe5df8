import { asNothing, type Command, type CommandRunner } from '../core/command.ts';
import { CommandError, HostError } from '../core/errors.ts';
import type { SetupStep } from './contract.ts';
import { failing, fine } from './finding.ts';
import { findProgram } from './host-loader.ts';

/** A need of ours: any one of these programs, or this file, meets it; the package brings the first. */
export interface Requirement {
  readonly programs: readonly string[];
  readonly package: string;
  /** Where a package's programs are kept out of PATH. */
  readonly directories?: readonly string[];
}

const PODMAN_HELPERS = [
  '/usr/libexec/podman',
  '/usr/lib/podman',
  '/usr/local/libexec/podman',
  '/usr/local/lib/podman',
];

export const REQUIREMENTS: readonly Requirement[] = [
  { programs: ['podman'], package: 'podman' },
  { programs: ['conmon'], package: 'conmon', directories: PODMAN_HELPERS },
  { programs: ['crun', 'runc'], package: 'crun' },
  { programs: ['catatonit'], package: 'catatonit', directories: PODMAN_HELPERS },
  { programs: ['nft'], package: 'nftables' },
  { programs: ['pasta', 'slirp4netns'], package: 'slirp4netns' },
  { programs: ['newuidmap'], package: 'uidmap' },
  { programs: ['git'], package: 'git' },
  { programs: ['socat'], package: 'socat' },
  { programs: ['ip'], package: 'iproute2' },
  { programs: ['ssh'], package: 'openssh-client' },
  { programs: ['update-ca-certificates'], package: 'ca-certificates' },
];

/** crun refuses a host that has both versions of cgroups mounted, so there only runc will do. */
const RUNC: Requirement = { programs: ['runc'], package: 'runc' };
/** Only where a base image has to be built: Ubuntu's may be pulled or already be there. That shows in the pull. */
const BUILDER: Requirement = { programs: ['mmdebstrap'], package: 'mmdebstrap' };

/** What this host needs (pure). */
export function requirementsFor(host: {
  readonly isCgroupV2: boolean;
  readonly needsBuilder: boolean;
}): readonly Requirement[] {
  const base = REQUIREMENTS.map((requirement) =>
    requirement.package === 'crun' && !host.isCgroupV2 ? RUNC : requirement,
  );
  return host.needsBuilder ? [...base, BUILDER] : base;
}

/** One line for the administrator (pure). */
export function adviseInstall(missing: readonly Requirement[], hasApt: boolean): string {
  if (hasApt) return `Ask an administrator to run: apt-get install -y ${packagesOf(missing).join(' ')}`;
  const programs = missing.map((requirement) => requirement.programs.join(' or '));
  return `Ask an administrator to install these programs: ${programs.join(', ')}`;
}

export const packagesOf = (missing: readonly Requirement[]): readonly string[] =>
  [...new Set(missing.map((requirement) => requirement.package))].sort();

const APT_ENV = { DEBIAN_FRONTEND: 'noninteractive' };
const APT_OPTIONS = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0'];

export const updatePackageLists: Command<void> = {
  file: 'apt-get',
  args: [...APT_OPTIONS, 'update'],
  env: APT_ENV,
  timeoutMs: 300_000,
  parse: asNothing,
};

export const installPackages = (packages: readonly string[]): Command<void> => ({
  file: 'apt-get',
  args: [...APT_OPTIONS, 'install', '-y', '--no-install-recommends', '--', ...packages],
  env: APT_ENV,
  timeoutMs: 1_800_000,
  parse: asNothing,
});

export interface HostPackagesDeps {
  readonly runner: CommandRunner;
  readonly isRoot: boolean;
  /** PATH and the directories of system programs. */
  readonly programDirectories: readonly string[];
  readonly isCgroupV2: () => Promise<boolean>;
  readonly needsBuilder: () => Promise<boolean>;
}

const ID = 'host.packages';

/** Programs of the host that everything else here uses. */
export function hostPackagesStep(deps: HostPackagesDeps): SetupStep {
  const missing = async (): Promise<readonly Requirement[]> => {
    const needed = requirementsFor({
      isCgroupV2: await deps.isCgroupV2(),
      needsBuilder: await deps.needsBuilder(),
    });
    const found = await Promise.all(needed.map((requirement) => isMet(requirement, deps.programDirectories)));
    return needed.filter((_, index) => found[index] !== true);
  };
  const hasApt = async (): Promise<boolean> =>
    (await findProgram('apt-get', deps.programDirectories)) !== undefined;
  return {
    id: ID,
    title: 'Installing programs this machine lacks',
    check: async () => {
      const lacking = await missing();
      if (lacking.length === 0) return fine(ID, 'every program that is needed is installed');
      const names = lacking.map((requirement) => requirement.programs.join(' or ')).join(', ');
      const fix = deps.isRoot ? 'Run "terok-mcp setup".' : adviseInstall(lacking, await hasApt());
      return failing(ID, `not installed: ${names}`, fix);
    },
    apply: async (progress, signal) => {
      const lacking = await missing();
      const canInstall = await hasApt();
      if (!deps.isRoot || !canInstall) {
        throw new HostError('Programs that are needed are not installed', {
          hint: adviseInstall(lacking, canInstall),
        });
      }
      await install(deps.runner, packagesOf(lacking), { progress, signal });
    },
  };
}

/**
 * Sees to it that the program that builds base images is there: root installs it, anybody else gets HostError
 * with the line for an administrator.
 */
export function builderPreparation(
  deps: Pick<HostPackagesDeps, 'runner' | 'isRoot' | 'programDirectories'>,
): (progress: (message: string) => void, signal?: AbortSignal) => Promise<void> {
  return async (progress, signal) => {
    if (await isMet(BUILDER, deps.programDirectories)) return;
    const hasApt = (await findProgram('apt-get', deps.programDirectories)) !== undefined;
    if (!deps.isRoot || !hasApt) {
      throw new HostError(`${BUILDER.package}, which builds the base image, is not installed`, {
        hint: adviseInstall([BUILDER], hasApt),
      });
    }
    await install(deps.runner, packagesOf([BUILDER]), { progress, signal });
  };
}

async function install(
  runner: CommandRunner,
  packages: readonly string[],
  options: { readonly progress: (message: string) => void; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { progress, signal } = options;
  progress('Updating package lists');
  await runner.run(updatePackageLists, { signal }).catch((error: unknown) => {
    // One broken third-party source must not stop us: the install shows whether it matters.
    if (!(error instanceof CommandError)) throw error;
    progress('Some package lists could not be updated; going on with those there are');
  });
  progress(`Installing ${packages.join(', ')}`);
  await runner.run(installPackages(packages), {
    signal,
    onLine: (line) => {
      if (/^Setting up /.test(line)) progress(line);
    },
  });
}

async function isMet(requirement: Requirement, directories: readonly string[]): Promise<boolean> {
  const places = [...directories, ...(requirement.directories ?? [])];
  const found = await Promise.all(requirement.programs.map((name) => findProgram(name, places)));
  return found.some((file) => file !== undefined);
}
