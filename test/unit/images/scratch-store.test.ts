import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeScratch, sweepScratch } from '../../../src/runtime/images/scratch-store.ts';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(path.join(os.tmpdir(), 'scratch-'));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

describe('directories of builds', () => {
  it('are gone with the build, and kept while the process that made them lives', async () => {
    {
      await using scratch = await makeScratch(cache, 'settings');
      await sweepScratch(cache);
      expect(readdirSync(cache)).toEqual([path.basename(scratch.directory)]);
    }
    expect(readdirSync(cache)).toEqual([]);
  });

  it('are swept at once when that process is gone, whoever has its number now', async () => {
    const own = path.basename((await makeScratch(cache, 'build')).directory);
    const [place = '', pid = '', started = ''] = own.replace('build-', '').split(/[.-]/);
    const gone = spawn('true');
    await once(gone, 'exit');
    const left = [
      `settings-${place}.${gone.pid}.7-aaaaaa`,
      `build-${place}.${pid}.${Number(started) + 1}-bbbbbb`,
    ];
    // The process of another machine or container cannot be asked about.
    const kept = [own, `settings-00000000.${gone.pid}.7-cccccc`, 'downloads', 'build'];
    for (const name of [...left, ...kept]) mkdirSync(path.join(cache, name), { recursive: true });
    const told: string[] = [];
    await sweepScratch(cache, async (directory) => void told.push(path.basename(directory)));
    expect(told.sort()).toEqual(left.sort());
    expect(readdirSync(cache).sort()).toEqual(kept.sort());
  });
});
