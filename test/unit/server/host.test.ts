import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { resolvePaths } from '../../../src/runtime/core/paths.ts';
import { baseEnvironment } from '../../../src/server/base-environment.ts';
import { loadHost } from '../../../src/server/host-loader.ts';
import { VERSION } from '../../../src/server/version.ts';

test('the version is that of the package', async () => {
  const text = await readFile(path.resolve(import.meta.dirname, '../../../package.json'), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ version: VERSION });
});

test('programs of ours get no variable that could steer them', () => {
  const host = {
    ...loadHost(process, '/main.js'),
    home: '/home/me',
    env: {
      PATH: '/opt/bin',
      GIT_DIR: '/evil',
      GIT_SSH_COMMAND: 'evil',
      LD_PRELOAD: '/evil.so',
      NODE_OPTIONS: '--require evil',
      CONTAINER_HOST: 'evil',
      SSH_AUTH_SOCK: '/agent',
    },
  };
  const paths = resolvePaths({ env: {}, home: '/home/me', uid: 1000, ownsDirectory: () => true });
  expect(baseEnvironment(host, paths)).toEqual({
    PATH: '/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/home/me',
    LANG: 'C.UTF-8',
    XDG_RUNTIME_DIR: '/run/user/1000',
  });
});

test('the front end loads no dependency', async () => {
  const seen = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    const source = await readFile(file, 'utf8');
    for (const [, kind, specifier = ''] of source.matchAll(
      /^(import|export)\b(?! type)[^'";]*from '([^']+)';/gms,
    )) {
      expect(
        kind === 'import' && !specifier.startsWith('.') ? specifier : 'node:',
        `${file} imports ${specifier}`,
      ).toMatch(/^node:/);
      if (specifier.startsWith('.')) await visit(path.resolve(path.dirname(file), specifier));
    }
  };
  const server = path.resolve(import.meta.dirname, '../../../src/server');
  await visit(path.join(server, 'main.ts'));
  await visit(path.join(server, 'pipe.ts'));
  expect(seen.size).toBeGreaterThan(5);
  expect(seen.size).toBeLessThan(15);
});
