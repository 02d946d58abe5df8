/** What the host's own apt says about one index it fetches (`apt-get indextargets`). */
export interface AptIndex {
  readonly repository: string;
  readonly release: string;
  readonly component: string;
  /** From the signed release file: absent until `apt-get update` has run. */
  readonly origin: string;
  readonly codename: string;
  readonly sourcesFile: string;
}

export const INDEX_FORMAT = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(CODENAME)|$(SOURCESENTRY)';

/** Lines of `apt-get indextargets --format INDEX_FORMAT`; a field apt does not know is printed as its name. */
export function parseIndexTargets(text: string): readonly AptIndex[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split('|').map((field) => (field.startsWith('$(') ? '' : field.trim()));
    const [repository = '', release = '', component = '', origin = '', codename = '', entry = ''] = fields;
    if (fields.length !== 6 || !/^[a-z+]+:/.test(repository)) return [];
    const sourcesFile = entry.replace(/:[0-9]+$/, '');
    return [{ repository, release, component, origin, codename, sourcesFile }];
  });
}

/**
 * `deb` lines for another Debian release from the archives the host already uses for its own: main, and its
 * updates and security archives where the host has them. Empty when the host knows no Debian archive.
 *
 * @param hostCodename VERSION_CODENAME of a Debian host; tells Debian's entries from others before the
 *   first `apt-get update`.
 */
export function debianSources(
  indexes: readonly AptIndex[],
  target: { readonly suite: string; readonly hostCodename: string | undefined },
): readonly string[] {
  const lines = new Map<string, string>();
  for (const index of indexes) {
    if (index.component !== 'main' || !isDebian(index, target.hostCodename)) continue;
    const pocket = /-(updates|security)$/.exec(index.codename || index.release)?.[1] ?? 'release';
    if (pocket === 'release' && /[-/]/.test(index.codename || index.release)) continue; // backports and the like
    const suite = pocket === 'release' ? target.suite : `${target.suite}-${pocket}`;
    if (!lines.has(pocket)) lines.set(pocket, `deb ${index.repository} ${suite} main`);
  }
  return lines.has('release') ? [...lines.values()] : [];
}

/** The files that declare Debian's archives, where `Signed-By` may name their keyring. */
export function debianSourcesFiles(
  indexes: readonly AptIndex[],
  hostCodename: string | undefined,
): readonly string[] {
  const files = indexes.filter((index) => isDebian(index, hostCodename)).map((index) => index.sourcesFile);
  return [...new Set(files)].filter((file) => file !== '');
}

/** Absolute key files named by `Signed-By:` (deb822) or `[signed-by=…]` (one line) in a sources file. */
export function keyringsOf(sourcesText: string): readonly string[] {
  const named = sourcesText.matchAll(/^\s*Signed-By:[ \t]*(\/[^\n]+)$|\bsigned-by=(\/[^\]\s,]+)/gim);
  return [...named].flatMap((match) => (match[1] ?? match[2] ?? '').trim().split(/[\s,]+/));
}

/** Proxy settings of `apt-config dump`, as options for another apt. */
export function proxyOptions(aptConfigDump: string): readonly string[] {
  return aptConfigDump
    .split('\n')
    .filter((line) => /^Acquire::(?:http|https)::Proxy(?:::[^ ]+)? ".+";$/i.test(line));
}

export function versionCodename(osRelease: string): string | undefined {
  if (!/^ID="?debian"?$/m.test(osRelease)) return undefined;
  return /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(osRelease)?.[1];
}

function isDebian(index: AptIndex, hostCodename: string | undefined): boolean {
  if (index.origin !== '') return index.origin === 'Debian';
  if (hostCodename === undefined) return false;
  return index.release === hostCodename || index.release.startsWith(`${hostCodename}-`);
}
