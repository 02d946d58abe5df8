/** The host's ways to packages, as text for a build to read. Pure: `host-settings-store.ts` reads and writes. */

/** Where the directory is mounted while an image is built. */
export const BUILD_SETTINGS = '/run/terok-build';
const CERTIFICATES = `${BUILD_SETTINGS}/ca.crt`;

export interface HostSettings {
  /** Certificate authorities the host trusts, PEM; empty when it names none. */
  readonly certificates: string;
  readonly npmrc: string;
  readonly pipConf: string;
  /** Lines of `apt-config dump`. */
  readonly aptOptions: readonly string[];
  readonly proxies: Readonly<Record<string, string>>;
}

/** Variables that name the mounted files: paths alone, so they may be build arguments. */
export function settingsVariables(settings: HostSettings): Readonly<Record<string, string>> {
  const bundle = [
    'CURL_CA_BUNDLE',
    'GIT_SSL_CAINFO',
    'NODE_EXTRA_CA_CERTS',
    'PIP_CERT',
    'REQUESTS_CA_BUNDLE',
    'SSL_CERT_FILE',
  ];
  return {
    APT_CONFIG: `${BUILD_SETTINGS}/apt.conf`,
    NPM_CONFIG_USERCONFIG: `${BUILD_SETTINGS}/npmrc`,
    PIP_CONFIG_FILE: `${BUILD_SETTINGS}/pip.conf`,
    ...(settings.certificates === ''
      ? {}
      : Object.fromEntries(bundle.map((name) => [name, CERTIFICATES] as const))),
  };
}

/** The files of the directory, by name. All but the certificates are for root's eyes. */
export function settingsFiles(
  settings: HostSettings,
): readonly { readonly name: string; readonly content: string; readonly isPublic: boolean }[] {
  const { certificates, npmrc, pipConf, aptOptions, proxies } = settings;
  const hasCertificates = certificates !== '';
  const variables = {
    ...settingsVariables(settings),
    ...(hasCertificates ? { NPM_CONFIG_CAFILE: CERTIFICATES } : {}),
    // A person's own choice not to run them would leave agents without their programs.
    NPM_CONFIG_IGNORE_SCRIPTS: 'false',
    NPM_CONFIG_UPDATE_NOTIFIER: 'false',
    ...proxies,
  };
  const aptConf = [...(hasCertificates ? [`Acquire::https::CAInfo "${CERTIFICATES}";`] : []), ...aptOptions];
  return [
    {
      name: 'env',
      content: Object.entries(variables)
        .map(([name, value]) => `export ${name}='${value.replace(/'/g, `'\\''`)}'\n`)
        .join(''),
      isPublic: false,
    },
    { name: 'npmrc', content: npmrc, isPublic: false },
    { name: 'pip.conf', content: pipConf, isPublic: false },
    { name: 'apt.conf', content: `${aptConf.join('\n')}\n`, isPublic: false },
    // apt's downloader reads it as another user.
    ...(hasCertificates ? [{ name: 'ca.crt', content: certificates, isPublic: true }] : []),
  ];
}

const NPM_KEYS =
  /^(?:registry|@[^:=]+:registry|\/\/[^=]+:(?:_authToken|_auth|username|_password)|proxy|https-proxy|noproxy|strict-ssl|fetch-(?:retries|retry-(?:factor|mintimeout|maxtimeout)|timeout)|ca(?:\[\])?)$/;

/**
 * What of npm's own files says where packages come from (npmrc(5)); the rest (prefixes, caches, scripts) is about the
 * host. `${NAME}` is filled in here, for the container has no such variables.
 *
 * @param texts Weakest first.
 */
export function npmSettings(
  texts: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): { readonly lines: readonly string[]; readonly certificateFiles: readonly string[] } {
  const lines: string[] = [];
  const certificateFiles: string[] = [];
  for (const [key, value] of texts.flatMap(pairs)) {
    const filled = value.replace(/\$\{([^}?]+)\??\}/g, (whole, name: string) => variables[name] ?? whole);
    if (key === 'cafile') certificateFiles.push(filled);
    if (NPM_KEYS.test(key)) lines.push(`${key}=${filled}`);
  }
  return { lines, certificateFiles };
}

const PIP_KEYS = [
  'index-url',
  'extra-index-url',
  'trusted-host',
  'proxy',
  'find-links',
  'no-index',
  'timeout',
];

/**
 * The same of pip's (pip, "Configuration"), and of its variables, which are stronger. What lies on the host's disk
 * cannot be had in a build, so it goes.
 */
export function pipSettings(
  texts: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): { readonly text: string; readonly certificateFiles: readonly string[] } {
  const values = new Map<string, string>();
  const certificateFiles: string[] = [];
  const take = (key: string, value: string): void => {
    if (key === 'cert') certificateFiles.push(value);
    if (!PIP_KEYS.includes(key)) return;
    const words = value.split(/\s+/).filter((word) => word !== '' && !/^(?:file:|\/|~|\.)/.test(word));
    if (words.length > 0) values.set(key, words.join('\n    '));
  };
  for (const text of texts) {
    // A value may go on in indented lines.
    const unfolded = text.replace(/\n[ \t]+(?=\S)/g, ' ');
    let section = '';
    for (const line of unfolded.split('\n')) {
      section = /^\[(.+)\]\s*$/.exec(line)?.[1]?.trim() ?? section;
      if (section !== 'global' && section !== 'install') continue;
      for (const [key, value] of pairs(line)) take(key, value);
    }
  }
  for (const key of [...PIP_KEYS, 'cert']) {
    const value = variables[`PIP_${key.toUpperCase().replace(/-/g, '_')}`];
    if (value !== undefined && value !== '') take(key, value);
  }
  const lines = [...values].map(([key, value]) => `${key} = ${value}\n`);
  return { text: `[global]\n${lines.join('')}`, certificateFiles };
}

/** `key = value` lines; comments begin with `#` or `;`. */
function pairs(text: string): readonly (readonly [string, string])[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const match = /^\s*([^#;\s=][^=]*?)\s*[=]\s*(.*?)\s*$/.exec(line);
    const [, key, value] = match ?? [];
    return key === undefined || value === undefined ? [] : [[key, value.replace(/^"(.*)"$/, '$1')] as const];
  });
}
