import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { catalog } from '../../../src/tools/catalog.ts';

const file = path.resolve(import.meta.dirname, '../../../README.md');

/** `vitest run --project unit -u` writes it. */
it('the tool table of the README is what the code publishes', async () => {
  const readme = await readFile(file, 'utf8');
  const rows = [...catalog]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(
      (tool) =>
        `| \`${tool.name}\` | ${tool.description} | ${tool.annotations.readOnlyHint ? 'reads' : tool.annotations.destructiveHint ? 'changes, destructive' : 'changes'} |`,
    );
  const table = ['| tool | what it does | |', '|---|---|---|', ...rows].join('\n');
  const generated = readme.replace(
    /<!-- tools:start -->[\s\S]*<!-- tools:end -->/,
    `<!-- tools:start -->\n${table}\n<!-- tools:end -->`,
  );
  await expect(generated).toMatchFileSnapshot(file);
});
