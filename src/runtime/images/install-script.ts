import type { RosterEntry } from '../agents/contract.ts';
import type { PackageFamily } from './contract.ts';
import type { ContextFile } from './layers.ts';

/** Where `install-agent.sh` and what it runs are mounted while an image is built. */
export const AGENT_SOURCES = '/run/terok-agents';
const HOMES = '/opt/terok/agents';
/** What is kept between builds, and is in no image. */
const CACHE = '/run/terok-cache';

/** Programs an entry brings along, written out or bundled with us, below `<name>/programs/`. */
export function agentFiles(
  entry: RosterEntry,
  family: PackageFamily,
  bundled: ReadonlyMap<string, ContextFile>,
): readonly ContextFile[] {
  const { install, name } = entry;
  const programs = [
    ...install.bundled.map((program) => [program, bundled.get(program)?.content ?? ''] as const),
    ...Object.entries(install.programs),
  ];
  return [
    { name: `${name}/install.sh`, content: renderInstall(entry, family), isExecutable: false },
    ...programs.map(([program, content]) => ({
      name: `${name}/programs/${program}`,
      content,
      isExecutable: true,
    })),
  ];
}

/**
 * How one entry gets into an image, as a script for `sh -eu` (pure). All of it belongs to root, so that no agent
 * changes its own programs. Two entries with one program name is an error, unless the program is the same.
 */
export function renderInstall(entry: RosterEntry, family: PackageFamily): string {
  const { install, name } = entry;
  const home = `${HOMES}/${name}`;
  const packages = family === 'deb' ? install.apt : install.rpm;
  const programs = [...install.bundled, ...Object.keys(install.programs)];
  const npm = Object.entries(install.npm);
  const pip = Object.entries(install.pip);
  const lines = [
    `# ${name}`,
    ...programs.flatMap((program) => {
      const [from, to] = [`${AGENT_SOURCES}/${name}/programs/${program}`, `/usr/local/bin/${program}`];
      return [
        `if [ -e ${to} ] && ! cmp -s ${from} ${to}; then echo "${program} is there already, of another agent"; exit 1; fi`,
        `install -m 0755 ${from} ${to}`,
      ];
    }),
    ...(packages.length === 0 ? [] : packageLines(packages, family)),
    ...(npm.length === 0
      ? []
      : ['command -v npm > /dev/null || { echo "it needs Node, which could not be fetched"; exit 1; }']),
    ...npm.flatMap(([name, wanted]) => {
      const prefix = `${home}/${folder(name)}`;
      return [
        `mkdir -p ${prefix}`,
        // Not --global, which would install optional parts all the same.
        `npm install --prefix=${prefix} --no-package-lock --no-audit --no-fund --loglevel=error${wanted.omit_optional ? ' --omit=optional' : ''} -- '${name}@${wanted.version}'`,
        ...wanted.bin.flatMap((program) => link(`${prefix}/node_modules/.bin/${program}`, program)),
      ];
    }),
    ...pip.flatMap(([name, wanted]) => {
      const environment = `${home}/${folder(name)}`;
      return [
        `python3 -m venv ${environment}`,
        `${environment}/bin/pip install --quiet --disable-pip-version-check -- '${name}==${wanted.version}'`,
        ...wanted.bin.flatMap((program) => link(`${environment}/bin/${program}`, program)),
      ];
    }),
    ...(install.shell === undefined ? [] : [install.shell.trimEnd()]),
  ];
  return `${lines.join('\n')}\n`;
}

function packageLines(packages: readonly string[], family: PackageFamily): readonly string[] {
  const names = packages.join(' ');
  if (family === 'deb') {
    return [
      `mkdir -p ${CACHE}/apt/archives/partial ${CACHE}/apt-lists/partial`,
      `apt="apt-get -qq -o Dir::Cache=${CACHE}/apt -o Dir::State::Lists=${CACHE}/apt-lists"`,
      '$apt update',
      `$apt install -y --no-install-recommends -- ${names}`,
      'rm -rf /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old',
    ];
  }
  const options = `--setopt=install_weak_deps=False --setopt=keepcache=True --setopt=cachedir=${CACHE}/dnf`;
  return [
    `dnf -y ${options} \${SSL_CERT_FILE:+--setopt=sslcacert=$SSL_CERT_FILE} install -- ${names}`,
    'rm -rf /var/log/dnf* /var/log/hawkey.log',
  ];
}

/** A package that has not the program it should is an error now, and not in a task. */
const link = (target: string, program: string): readonly string[] => [
  `test -x ${target} || { echo "it has no program '${program}'"; exit 1; }`,
  `ln -s ${target} /usr/local/bin/${program}`,
];

/** A directory for each package: npm takes optional parts out of everything below one prefix. */
const folder = (packageName: string): string => packageName.replace(/^@/, '').replace(/\//g, '-');
