import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../..');

it('every promise of SECURITY.md names tests that are there', async () => {
  const text = await readFile(path.join(root, 'SECURITY.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| ') && line.includes('`test/'));
  expect(rows.length).toBeGreaterThan(12);
  for (const row of rows) {
    const proofs = [...row.matchAll(/`(test\/[^`]+)`: ([^;|]+)/g)];
    expect(proofs.length, row).toBeGreaterThan(0);
    for (const [, file = '', cited = ''] of proofs) {
      const source = await readFile(path.join(root, file), 'utf8');
      for (const fragment of cited.split(',').map((part) => part.trim())) {
        expect(source, `${file} should prove "${fragment}"`).toContain(fragment);
      }
    }
  }
});
