import { execFileSync, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  listUntrusted,
  lookUntrusted,
  readUntrustedFile,
} from '../../../src/runtime/core/untrusted-file-loader.ts';

const base = mkdtempSync('/tmp/tk-untrusted-');
afterAll(() => rmSync(base, { recursive: true }));
const root = path.join(base, 'written-by-a-container');
const secret = path.join(base, 'secret.txt');
const target = path.join(root, 'status.yml');
const KILOBYTES_16 = 16 * 1024;
const read = (...names: string[]) => readUntrustedFile({ root, names }, KILOBYTES_16);

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
  writeFileSync(secret, 'a secret of the host');
});

describe('a file that a container writes', () => {
  it('is read as text, with the time it was written', async () => {
    writeFileSync(target, 'done');
    utimesSync(target, 1_000_000_000, 1_000_000_000);
    expect(await read('status.yml')).toEqual({ text: 'done', modifiedAt: new Date(1_000_000_000_000) });
    expect(await read('other.yml')).toEqual({ isAbsent: true, problem: 'does not exist' });
  });

  const attacks: readonly (readonly [string, () => unknown, RegExp])[] = [
    ['a link to a file of the host', () => symlinkSync(secret, target), /is a link/],
    ['a relative link that leads out', () => symlinkSync('../secret.txt', target), /is a link/],
    ['a link to itself', () => symlinkSync('status.yml', target), /is a link/],
    ['a dangling link', () => symlinkSync('/nowhere', target), /is a link/],
    ['a directory', () => mkdirSync(target), /is a directory/],
    ['a named pipe', () => execFileSync('mkfifo', [target]), /is not a regular file/],
    [
      'a sparse file of a gigabyte',
      () => {
        writeFileSync(target, '');
        truncateSync(target, 2 ** 30);
      },
      /is larger than 16 KB/,
    ],
    ['one byte too many', () => writeFileSync(target, 'x'.repeat(KILOBYTES_16 + 1)), /is larger than 16 KB/],
    ['no text', () => writeFileSync(target, Buffer.from([0xff, 0xfe, 0])), /is not UTF-8 text/],
  ];

  it.each(attacks)('that is %s is refused at once, and nothing is read', async (_, replace, problem) => {
    replace();
    const startedAt = performance.now();
    const file = await read('status.yml');
    expect(performance.now() - startedAt).toBeLessThan(500);
    expect(file).toMatchObject({ isAbsent: false, problem: expect.stringMatching(problem) });
    expect(file.text).toBeUndefined();
  });

  it('that is a socket is refused', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(target, resolve));
    expect(await read('status.yml')).toMatchObject({ problem: 'is not a regular file' });
    await new Promise((resolve) => server.close(resolve));
  });

  it('that is a link would be followed by a plain read: the attack is real', () => {
    symlinkSync(secret, target);
    expect(readFileSync(target, 'utf8')).toBe('a secret of the host');
  });

  it.each(['absolute', 'relative'])('behind an %s link to a directory is out of reach', async (kind) => {
    mkdirSync(path.join(base, 'host-home'), { recursive: true });
    writeFileSync(path.join(base, 'host-home/meta.json'), '"a secret of the host"');
    symlinkSync(kind === 'absolute' ? path.join(base, 'host-home') : '../host-home', path.join(root, 'logs'));
    expect(readFileSync(path.join(root, 'logs/meta.json'), 'utf8')).toContain('secret');
    expect(await read('logs', 'meta.json')).toMatchObject({ problem: expect.stringContaining('link') });
    expect(await listUntrusted({ root, names: ['logs'] }, 10)).toEqual([]);
    expect(await lookUntrusted({ root, names: ['logs', 'meta.json'] })).toBeUndefined();
  });

  it('is never reached through a directory that is exchanged for a link meanwhile', async () => {
    mkdirSync(path.join(base, 'outside'), { recursive: true });
    writeFileSync(path.join(base, 'outside/file'), 'a secret of the host');
    mkdirSync(path.join(root, 'real'));
    writeFileSync(path.join(root, 'real/file'), 'harmless');
    symlinkSync(path.join(base, 'outside'), path.join(root, 'link'));
    const exchange = `const { renameSync: rename } = require('node:fs');
      for (;;) { rename('real', 'dir'); rename('dir', 'real'); rename('link', 'dir'); rename('dir', 'link'); }`;
    const container = spawn(process.execPath, ['-e', exchange], { cwd: root, stdio: 'ignore' });
    const ended = new Promise((resolve) => container.once('exit', resolve));
    const seen = { guarded: new Set<string>(), plain: new Set<string>() };
    try {
      const until = performance.now() + 10_000;
      // Until a plain read was led out, and the guarded one was asked as often.
      while (
        performance.now() < until &&
        (!seen.plain.has('a secret of the host') || !seen.guarded.has('harmless'))
      ) {
        for (let round = 0; round < 50; round += 1) {
          seen.guarded.add((await read('dir', 'file')).text ?? 'refused');
          seen.plain.add(await readFile(path.join(root, 'dir/file'), 'utf8').catch(() => 'refused'));
        }
      }
    } finally {
      container.kill('SIGKILL');
      await ended;
    }
    expect(seen.plain).toContain('a secret of the host');
    expect(seen.guarded).toContain('harmless');
    expect(seen.guarded).not.toContain('a secret of the host');
  });

  it('is one of at most so many that are listed', async () => {
    for (let index = 0; index < 50; index += 1) writeFileSync(path.join(root, `file-${index}`), '');
    symlinkSync(secret, path.join(root, 'file-link'));
    expect(await listUntrusted({ root, names: [] }, 10)).toHaveLength(10);
    const all = await listUntrusted({ root, names: [] }, 100);
    expect(all.find((entry) => entry.name === 'file-link')).toMatchObject({
      isFile: false,
      isDirectory: false,
    });
  });
});
