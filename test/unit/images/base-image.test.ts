import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  debianSources,
  debianSourcesFiles,
  keyringsOf,
  parseIndexTargets,
  proxyOptions,
  versionCodename,
} from '../../../src/runtime/images/apt-sources.ts';
import { BaseArchiveStore } from '../../../src/runtime/images/base-archive-store.ts';
import { buildRootFilesystem, recipeHash } from '../../../src/runtime/images/base-recipe.ts';

const HOST = `http://mirror.test/debian/|bookworm|main|Debian|bookworm|/etc/apt/sources.list.d/debian.sources:1
http://mirror.test/debian/|bookworm-updates|main|Debian|bookworm-updates|/etc/apt/sources.list.d/debian.sources:1
http://mirror.test/debian/|bookworm-backports|main|Debian Backports|bookworm-backports|/etc/apt/sources.list:4
http://mirror.test/security/|bookworm-security|main|Debian|bookworm-security|/etc/apt/sources.list.d/debian.sources:7
http://mirror.test/debian/|bookworm|contrib|Debian|bookworm|/etc/apt/sources.list.d/debian.sources:1
https://vendor.test/apt|nodistro|main|vendor|nodistro|/etc/apt/sources.list.d/vendor.list:1
`;
const WANTED = [
  'deb http://mirror.test/debian/ trixie main',
  'deb http://mirror.test/debian/ trixie-updates main',
  'deb http://mirror.test/security/ trixie-security main',
];
const target = { suite: 'trixie', hostCodename: 'bookworm' };

describe("the host's apt configuration", () => {
  it("gives another release from the host's own mirror, with updates and security", () => {
    expect(debianSources(parseIndexTargets(HOST), target)).toEqual(WANTED);
    expect(debianSourcesFiles(parseIndexTargets(HOST), 'bookworm')).toEqual([
      '/etc/apt/sources.list.d/debian.sources',
    ]);
  });

  it('works before the first update, when apt knows no origins', () => {
    const fresh = HOST.replaceAll(/\|main\|[^|]*\|[^|]*\|/g, '|main|||');
    expect(debianSources(parseIndexTargets(fresh), target)).toEqual(WANTED);
  });

  it('offers nothing where there is no Debian archive', () => {
    const vendor = HOST.split('\n')
      .filter((line) => line.includes('vendor'))
      .join('\n');
    expect(debianSources(parseIndexTargets(vendor), target)).toEqual([]);
    expect(
      debianSources(parseIndexTargets('http://m.test/ubuntu/|noble|main|||x:1'), {
        suite: 'trixie',
        hostCodename: undefined,
      }),
    ).toEqual([]);
    expect(parseIndexTargets('E: something\n$(REPO_URI)|a|b|c|d|e\n')).toEqual([]);
  });

  it('names the keyrings of either format', () => {
    expect(keyringsOf('Types: deb\nURIs: http://x\nSigned-By: /usr/share/keyrings/a.gpg\n')).toEqual([
      '/usr/share/keyrings/a.gpg',
    ]);
    expect(keyringsOf('deb [arch=amd64 signed-by=/k/b.gpg] http://x trixie main')).toEqual(['/k/b.gpg']);
    expect(keyringsOf('Signed-By:\n -----BEGIN PGP')).toEqual([]);
  });

  it('hands proxies on', () => {
    const dump =
      'APT::Architecture "amd64";\nAcquire::http::Proxy "http://127.0.0.1:3142";\nAcquire::http::Proxy::m.test "DIRECT";\nAcquire::https::Proxy "";\n';
    expect(proxyOptions(dump)).toEqual([
      'Acquire::http::Proxy "http://127.0.0.1:3142";',
      'Acquire::http::Proxy::m.test "DIRECT";',
    ]);
  });

  it('tells the release of a Debian host only', () => {
    expect(versionCodename('ID=debian\nVERSION_CODENAME=bookworm\n')).toBe('bookworm');
    expect(versionCodename('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n')).toBeUndefined();
  });
});

it('builds a root file system with this command, its sources on standard input', () => {
  const command = buildRootFilesystem({
    isRoot: false,
    archive: '/cache/x.tar',
    sources: WANTED,
    keyrings: ['/k/a.gpg'],
    proxies: ['Acquire::http::Proxy "http://p:1";'],
  });
  expect(command.input).toBe(`${WANTED.join('\n')}\n`);
  expect([command.file, ...command.args].join('\n')).toMatchSnapshot();
  expect(recipeHash('x64')).not.toBe(recipeHash('arm64'));
});

describe('the archive cache', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'archives-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('holds an archive only when its build has succeeded', async () => {
    const store = new BaseArchiveStore({ directory: path.join(root, 'own') });
    const failing = store.add('a.tar', async (temporary) => {
      writeFileSync(temporary, 'half');
      throw new Error('no space');
    });
    await expect(failing).rejects.toThrow('no space');
    expect(await store.find('a.tar')).toBeUndefined();
    expect(readdirSync(path.join(root, 'own'))).toEqual([]);
    const archive = await store.add('a.tar', async (temporary) => writeFileSync(temporary, 'whole'));
    expect(await store.find('a.tar')).toBe(archive);
    await store.drop(archive);
    expect(await store.find('a.tar')).toBeUndefined();
  });

  it('does not trust a shared archive that somebody other than root could have written or planted', async () => {
    const shared = path.join(root, 'shared');
    mkdirSync(shared);
    writeFileSync(path.join(shared, 'a.tar'), 'x');
    const store = new BaseArchiveStore({ directory: path.join(root, 'own'), shared });
    // Whoever runs this: /tmp, above it, is writable by everybody.
    expect(await store.find('a.tar')).toBeUndefined();
  });

  it('ignores a link in place of an archive', async () => {
    const own = path.join(root, 'own');
    mkdirSync(own);
    writeFileSync(path.join(root, 'elsewhere'), 'x');
    symlinkSync(path.join(root, 'elsewhere'), path.join(own, 'a.tar'));
    chmodSync(own, 0o755);
    expect(await new BaseArchiveStore({ directory: own }).find('a.tar')).toBeUndefined();
  });
});
