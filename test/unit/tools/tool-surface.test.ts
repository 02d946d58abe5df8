import { expect, test } from 'vitest';
import { INSTRUCTIONS } from '../../../src/server/mcp/mcp-server.ts';
import { listTools } from '../../../src/server/mcp/tool-listing.ts';
import { catalog } from '../../../src/tools/catalog.ts';

const listing = listTools(catalog);

test('the list of tools is what was agreed', async () => {
  await expect(`${JSON.stringify(listing, null, 2)}\n`).toMatchFileSnapshot(
    '../../golden/tools/tools-list.json',
  );
});

test('what a model reads of the 19 tools fits in 2544 tokens, and no tool takes more than 343', () => {
  const costs = listing.map(
    ({ name, description, inputSchema }) => JSON.stringify({ name, description, inputSchema }).length / 4,
  );
  expect(costs.reduce((sum, cost) => sum + cost, 0)).toBeLessThanOrEqual(2544);
  expect(Math.max(...costs)).toBeLessThanOrEqual(343);
});

test('instructions are short enough for every client', () => {
  expect(INSTRUCTIONS.length).toBeLessThanOrEqual(400);
});

test('every tool states all four hints, and names are sorted and unique', () => {
  const names = listing.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)].toSorted());
  for (const { annotations } of listing) {
    expect(annotations).toMatchObject({
      readOnlyHint: expect.any(Boolean),
      destructiveHint: expect.any(Boolean),
      idempotentHint: expect.any(Boolean),
      openWorldHint: expect.any(Boolean),
    });
  }
});

test('every string a client may send is bounded', async () => {
  const megabyte = 'x'.repeat(2 * 1024 * 1024);
  for (const { name, input } of catalog) {
    for (const field of Object.keys(
      listing.find((tool) => tool.name === name)?.inputSchema.properties ?? {},
    )) {
      const issues = input.safeParse({ [field]: megabyte }).error?.issues ?? [];
      expect(
        issues.some(({ path }) => path[0] === field),
        `${name}.${field} takes two megabytes`,
      ).toBe(true);
    }
  }
});
