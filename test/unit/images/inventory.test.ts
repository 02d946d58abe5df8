import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { LABEL } from '../../../src/runtime/engine/contract.ts';
import {
  inventoryCommand,
  inventoryLabels,
  inventoryOf,
  labelLine,
  readInventory,
} from '../../../src/runtime/images/inventory.ts';
import { loadInventoryScript } from '../../../src/runtime/images/layer-loader.ts';
import { rosterEntry } from '../../support/roster.ts';

const resources = path.resolve(import.meta.dirname, '../../../resources');

/** Asks this machine instead of an image: the programs are bash's own. */
async function ask(probes: Readonly<Record<string, readonly string[] | undefined>>, binary = 'bash') {
  const entries = Object.entries(probes).map(([name, probe]) => rosterEntry(name, {}, { probe, binary }));
  const selection = { entries, skipped: [{ name: 'absent', reason: 'no' }] };
  const [file = '', ...args] = inventoryCommand(await loadInventoryScript(resources), selection);
  return readInventory(execFileSync(file, args, { encoding: 'utf8' }), selection);
}

describe('the inventory of an image', () => {
  it('has the version each probe prints, and by name those that do not run', async () => {
    const inventory = await ask({
      one: ['bash', '-c', 'echo "one v1.2.3-beta.1 (2026)"'],
      two: ['bash', '-c', 'echo words; echo "and 2.46.0"; exit 0', 'an argument', ''],
      three: ['bash', '-c', 'echo first; printf "cannot\\e[31m start\\n" >&2; exit 3'],
      four: ['no-such-program-at-all'],
      five: undefined,
    });
    expect(inventory).toEqual({
      installed: [
        { name: 'five', version: 'unversioned' },
        { name: 'one', version: '1.2.3-beta.1' },
        { name: 'two', version: '2.46.0' },
      ],
      skipped: [
        { name: 'absent', reason: 'no' },
        { name: 'four', reason: expect.stringContaining('it is installed and does not run: ') },
        { name: 'three', reason: 'it is installed and does not run: cannot start' },
      ],
    });
  });

  it('misses an agent without a probe whose program is not there', async () => {
    const { skipped } = await ask({ x: undefined }, 'no-such-program-at-all');
    expect(skipped).toContainEqual({ name: 'x', reason: 'its program is not there' });
  });

  it('leaves out what needs one that does not run, and what the image is silent about', () => {
    const entries = [rosterEntry('a'), rosterEntry('b', { requires: ['a'] }), rosterEntry('c')];
    const text = Buffer.from('1.0').toString('base64');
    expect(readInventory(`a 1 ${text}\nb 0 ${text}\n`, { entries, skipped: [] })).toEqual({
      installed: [],
      skipped: [
        { name: 'a', reason: 'it is installed and does not run: 1.0' },
        { name: 'b', reason: 'it needs a, which is left out' },
        { name: 'c', reason: 'it was not looked for' },
      ],
    });
  });

  it('takes the reason an installation noted, without its tool in front', () => {
    const text = Buffer.from('ERROR: No matching distribution found for x==1\n').toString('base64');
    const { skipped } = readInventory(`x left-out ${text}`, { entries: [rosterEntry('x')], skipped: [] });
    expect(skipped).toEqual([{ name: 'x', reason: 'No matching distribution found for x==1' }]);
  });
});

describe('labels', () => {
  const inventory = {
    installed: [{ name: 'one', version: '1.2' }],
    skipped: [{ name: 'two', reason: 'it said "$HOME is \\ not set"' }],
  };

  it('carry an inventory there and back, and each version by itself', () => {
    const labels = inventoryLabels(inventory);
    expect(inventoryOf(labels)).toEqual(inventory);
    expect(labels[`${LABEL.agentVersion}one`]).toBe('1.2');
    expect(inventoryOf({})).toBeUndefined();
    expect(inventoryOf({ [LABEL.inventory]: '{"installed":1}' })).toBeUndefined();
  });

  it('are one line of a Dockerfile in which nothing ends a word or names a variable', () => {
    expect(labelLine({ a: 'x "y" $Z \\ w\nRUN evil' })).toBe('LABEL "a"="x \\"y\\" \\$Z \\\\ w RUN evil"\n');
  });
});
