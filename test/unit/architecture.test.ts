import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeCruise, judgeLock } from '../../scripts/judges.mjs';
import { runner } from '../support/host.ts';

const root = path.resolve(import.meta.dirname, '../..');

describe('the judge of dependency rules', () => {
  const report = (sources: readonly string[], violations: readonly object[] = []): string =>
    JSON.stringify({ modules: sources.map((source) => ({ source })), summary: { violations } });

  it('does not take a run that saw nothing, or not everything, for a clean one', () => {
    expect(judgeCruise(report([]), '', [])).toBe('looked at 0 of 0 modules');
    expect(judgeCruise(report([]), '', ['a.ts', 'b.ts'])).toBe('looked at 0 of 2 modules');
    expect(judgeCruise(report(['src/a.ts', 'node:fs']), '', ['a.ts', 'b.ts'])).toBe(
      'looked at 1 of 2 modules',
    );
    expect(judgeCruise('', 'no such file', ['a.ts'])).toBe('no report: no such file');
  });

  it('passes a complete run, and names what breaks a rule', () => {
    expect(judgeCruise(report(['src/a.ts']), '', ['a.ts'])).toBeUndefined();
    const rule = { name: 'core-is-the-bottom', severity: 'error' };
    const broken = report(['src/a.ts'], [{ rule, from: 'src/a.ts', to: 'src/b.ts' }]);
    expect(judgeCruise(broken, '', ['a.ts'])).toBe('core-is-the-bottom: src/a.ts -> src/b.ts');
  });
});

describe('the dependency rules', () => {
  let tree: string;
  beforeAll(async () => {
    tree = await mkdtemp(path.join(os.tmpdir(), 'cruise-'));
    for (const file of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
      await cp(path.join(root, file), path.join(tree, file));
    await symlink(path.join(root, 'node_modules'), path.join(tree, 'node_modules'));
  });
  afterAll(() => rm(tree, { recursive: true, force: true }));

  it('find each of these planted violations', async () => {
    const planted = {
      'src/runtime/core/low.ts': "import '../tasks/high.ts';",
      'src/runtime/tasks/high.ts': "import 'node:fs';",
      'src/runtime/gate/sibling.ts': "import '../shield/inner.ts';",
      'src/runtime/shield/inner.ts': "import 'node:child_process';",
      'src/tools/tool.ts': "import '../runtime/gate/sibling.ts';",
      'src/server/main.ts': "import '../runtime/tasks/high.ts';\nimport '../tools/tool.ts';",
    };
    for (const [file, text] of Object.entries(planted)) {
      await mkdir(path.dirname(path.join(tree, file)), { recursive: true });
      await writeFile(path.join(tree, file), `${text}\n`);
    }
    const found = await runner.run({
      file: process.execPath,
      args: [
        path.join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
        '--output-type=json',
        'src',
      ],
      cwd: tree,
      okCodes: Array.from({ length: 32 }, (_, code) => code),
      parse: ({ stdout, stderr }) => judgeCruise(stdout, stderr, Object.keys(planted)),
    });
    expect(found?.split('\n').sort()).toEqual([
      'core-is-the-bottom: src/runtime/core/low.ts -> src/runtime/tasks/high.ts',
      'files-in-loaders-and-stores: src/runtime/tasks/high.ts -> fs',
      'processes-start-in-exec: src/runtime/shield/inner.ts -> child_process',
      'server-sees-the-runtime-only: src/server/main.ts -> src/runtime/tasks/high.ts',
      'siblings-by-contract: src/runtime/gate/sibling.ts -> src/runtime/shield/inner.ts',
      'tools-see-contracts-only: src/tools/tool.ts -> src/runtime/gate/sibling.ts',
    ]);
  });
});

describe('the judge of the lock file', () => {
  it('refuses download addresses in whatever form, and leaves funding alone', () => {
    const lock = (entry: object): string => JSON.stringify({ packages: { 'node_modules/x': entry } });
    expect(
      judgeLock(lock({ version: '1.0.0', funding: { url: 'https://example.invalid/give' } })),
    ).toBeUndefined();
    expect(judgeLock(lock({ resolved: 'https://example.invalid/x.tgz' }))).toContain('a download address');
    expect(judgeLock(lock({ resolved: 'git+ssh://example.invalid/x' }))).toContain('a download address');
    expect(judgeLock(lock({ version: 'http://example.invalid/x.tgz' }))).toContain('example.invalid');
  });
});
