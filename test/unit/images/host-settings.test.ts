import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Command, CommandRunner } from '../../../src/runtime/core/command.ts';
import { HostError } from '../../../src/runtime/core/errors.ts';
import { npmSettings, pipSettings } from '../../../src/runtime/images/host-settings.ts';
import { HostSettingsStore } from '../../../src/runtime/images/host-settings-store.ts';

describe('what of npm goes into a build', () => {
  it('is where packages come from and how to get in there, and nothing about the host', () => {
    const { lines, certificateFiles } = npmSettings(
      [
        'registry = https://mirror.test/npm/\n; a comment\nprefix=/home/me/.npm\ncafile="/etc/ca.pem"\nignore-scripts=true\n',
        `//mirror.test/npm/:_authToken=$\{TOKEN}\n@team:registry=https://team.test/\nnodedir=/x\nca[]="PEM"\nstrict-ssl=true`,
      ],
      { TOKEN: 'tok' },
    );
    expect(lines).toEqual([
      'registry=https://mirror.test/npm/',
      '//mirror.test/npm/:_authToken=tok',
      '@team:registry=https://team.test/',
      'ca[]=PEM',
      'strict-ssl=true',
    ]);
    expect(certificateFiles).toEqual(['/etc/ca.pem']);
  });
});

describe('what of pip goes into a build', () => {
  it('is the indexes that can be reached from there; variables are stronger', () => {
    const text =
      '[global]\nindex-url = https://one.test/simple\nextra-index-url =\n    https://two.test/simple\n    file:///opt/simple\nfind-links = /opt/wheels\ncert = /etc/ca.pem\ncache-dir = /x\n[freeze]\ntimeout = 10\n';
    expect(pipSettings([text], { PIP_INDEX_URL: 'https://three.test/simple', PIP_TIMEOUT: '5' })).toEqual({
      text: '[global]\nindex-url = https://three.test/simple\nextra-index-url = https://two.test/simple\ntimeout = 5\n',
      certificateFiles: ['/etc/ca.pem'],
    });
  });
});

describe('the directory that a build sees', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'settings-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const store = (env: Readonly<Record<string, string>> = {}) => {
    const answer = ({ file }: Command<unknown>): string => {
      if (file === 'npm')
        return `registry=https://mirror.test/\nuserconfig=${root}/npmrc\nglobalconfig=${root}/none\n`;
      if (file === 'apt-config') return 'Acquire::http::Proxy "http://proxy.test:3142";\n';
      throw new HostError(`no ${file}`);
    };
    const runner: CommandRunner = {
      run: async <T>(command: Command<T>): Promise<T> =>
        command.parse({ stdout: answer(command), stderr: '', exitCode: 0 }),
      stream: () => {
        throw new Error('not here');
      },
      detach: async () => {
        throw new Error('not here');
      },
    };
    return new HostSettingsStore({ runner, env, home: root, cache: path.join(root, 'cache') });
  };

  it("holds the host's ways to packages, where nobody but its owner can come, and is gone after the build", async () => {
    writeFileSync(path.join(root, 'npmrc'), '//mirror.test/:_authToken=secret-token\n');
    writeFileSync(path.join(root, 'one.pem'), 'ONE\n');
    writeFileSync(path.join(root, 'two.pem'), 'TWO\n');
    const env = {
      SSL_CERT_FILE: `${root}/one.pem`,
      NODE_EXTRA_CA_CERTS: `${root}/two.pem`,
      https_proxy: "http://it's.test",
    };
    const mounted = await store(env).mount({ withNpm: true });
    const read = (name: string) => readFileSync(path.join(mounted.directory, name), 'utf8');
    expect(statSync(path.dirname(mounted.directory)).mode & 0o777).toBe(0o700);
    expect(read('npmrc')).toBe('//mirror.test/:_authToken=secret-token\nregistry=https://mirror.test/\n');
    // This machine's own pip may name one more.
    expect(read('ca.crt')).toMatch(/^ONE\nTWO\n/);
    expect(read('apt.conf')).toContain('Acquire::http::Proxy "http://proxy.test:3142";');
    expect(read('env')).toContain("export https_proxy='http://it'\\''s.test'\n");
    expect(read('env')).toContain("export NODE_EXTRA_CA_CERTS='/run/terok-build/ca.crt'\n");
    for (const name of ['env', 'npmrc', 'pip.conf', 'apt.conf'])
      expect(statSync(path.join(mounted.directory, name)).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(mounted.variables)).not.toMatch(/secret|it's/);
    await mounted[Symbol.asyncDispose]();
    expect(readdirSync(path.join(root, 'cache'))).toEqual([]);
  });

  it('is swept away when a crash left it, but not that of a build under way', async () => {
    for (const name of ['settings-old', 'settings-new', 'build-other'])
      mkdirSync(path.join(root, 'cache', name), { recursive: true });
    const yesterday = Date.now() / 1000 - 2 * 86_400;
    utimesSync(path.join(root, 'cache/settings-old'), yesterday, yesterday);
    await using _mounted = await store().mount({ withNpm: false });
    expect(readdirSync(path.join(root, 'cache'))).toEqual(
      expect.arrayContaining(['build-other', 'settings-new']),
    );
    expect(readdirSync(path.join(root, 'cache'))).not.toContain('settings-old');
  });

  it('hands npm of the host what the person set for it, and none of the rest', () => {
    const env = { NPM_CONFIG_REGISTRY: 'https://x.test', npm_config_ca: 'y', PATH: '/x', TOKEN: 'z' };
    expect(store(env).packageEnvironment()).toEqual({
      NPM_CONFIG_REGISTRY: 'https://x.test',
      npm_config_ca: 'y',
    });
  });
});
