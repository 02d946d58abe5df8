import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { AgentLoader } from '../../../../src/runtime/agents/agent-loader.ts';
import { PriceLoader } from '../../../../src/runtime/vault/tokens/price-loader.ts';
import { PricesFile } from '../../../../src/runtime/vault/tokens/price-table.ts';

const BUNDLED = path.resolve('resources/prices.yaml');
const MILLION = { inputTokens: 1e6, outputTokens: 1e6, cacheReadTokens: 1e6, cacheWriteTokens: 1e6 };

describe('prices', () => {
  let directory: string;
  let own: string;
  let prices: PriceLoader;
  beforeEach(() => {
    directory = mkdtempSync('/tmp/tk-prices-');
    own = path.join(directory, 'prices.yaml');
    prices = new PriceLoader({ bundled: BUNDLED, own });
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const of = (
    provider: string,
    model: string | undefined,
    whenUnknown: 'dearest' | 'none' = 'none',
    usage = MILLION,
  ) => prices.costOf(provider, { ...usage, model }, { whenUnknown });

  it('of models we know are found by the names that vendors answer with', async () => {
    await prices.load();
    const table = [
      ['claude', 'claude-sonnet-4-5-20250929', 3 + 15 + 0.3 + 3.75],
      ['claude', 'claude-opus-4-1-20250805', 15 + 75 + 1.5 + 18.75],
      ['claude', 'claude-opus-4-5-20251101', 5 + 25 + 0.5 + 6.25],
      ['claude', 'claude-3-5-haiku-20241022', 0.8 + 4 + 0.08 + 1],
      ['codex', 'gpt-5-codex', 1.25 + 10 + 0.125 + 1.25],
      ['codex', 'gpt-5.1-codex-mini', 0.25 + 2 + 0.025 + 0.25],
      ['codex', 'gpt-5-pro-2025-10-06', 15 + 120 + 15 + 15],
      ['codex', 'gpt-5.2', 1.75 + 14 + 0.175 + 1.75],
      ['codex', 'O4-mini-2025-04-16', 1.1 + 4.4 + 0.275 + 1.1],
      ['gemini', 'gemini-2.5-flash-lite', 0.1 + 0.4 + 0.01 + 0.1],
      ['gemini', 'models/gemini-2.5-pro', 1.25 + 10 + 0.125 + 1.25],
      ['blablador', 'alias-large', 0],
      // An entry of no vendor: by the name alone, with or without whose it is.
      ['my-router', 'anthropic/claude-sonnet-4.5', 22.05],
      ['my-router', 'gpt-5-mini', 2.525],
      ['my-router', 'alias-large', undefined],
      ['claude', 'gpt-5', undefined],
      ['claude', undefined, undefined],
    ] as const;
    for (const [provider, model, usd] of table)
      expect([model, of(provider, model)]).toEqual([
        model,
        usd === undefined ? undefined : expect.closeTo(usd),
      ]);
  });

  it('of an unknown model are those of the dearest of its vendor, for that very usage', async () => {
    await prices.load();
    expect(of('claude', 'claude-next', 'dearest')).toBeCloseTo(15 + 75 + 1.5 + 18.75);
    expect(of('codex', 'gpt-9', 'dearest')).toBeCloseTo(150 + 600 + 150 + 150);
    expect(of('gemini', undefined, 'dearest', { ...MILLION, outputTokens: 0 })).toBeCloseTo(2 + 0.2 + 2);
    expect(of('my-router', 'unheard-of', 'dearest')).toBeCloseTo(150 + 600 + 150 + 150);
  });

  it('that were never read still end a budget', () => {
    expect(of('claude', 'claude-sonnet-4-5')).toBeUndefined();
    expect(of('claude', 'claude-sonnet-4-5', 'dearest')).toBeGreaterThan(100);
  });

  it('of a person are laid over ours, and an edit counts from the next start on', async () => {
    writeFileSync(
      own,
      `vendors:
  anthropic: { models: { "*claude-sonnet-*": { output: 1 } } }
  home: { providers: [my-router], models: { "*": { input: 0, output: 0 } } }
`,
    );
    await prices.load();
    expect(of('claude', 'claude-sonnet-4-5')).toBeCloseTo(3 + 1 + 0.3 + 3.75);
    expect(of('my-router', 'anything', 'dearest')).toBe(0);
    writeFileSync(own, 'vendors: { anthropic: { models: { "*claude-sonnet-*": { output: 2 } } } }');
    await prices.load();
    expect(of('claude', 'claude-sonnet-4-5')).toBeCloseTo(3 + 2 + 0.3 + 3.75);
    rmSync(own);
    await prices.load();
    expect(of('claude', 'claude-sonnet-4-5')).toBeCloseTo(22.05);
  });

  it('that cannot be used name file, line and key, and those of before stay', async () => {
    const broken = [
      [
        'vendors:\n  anthropic:\n    modles: {}\n',
        `${own}:3: vendors.anthropic.modles: is no known key; did you mean "models"?`,
      ],
      [
        'vendors:\n  x:\n    models:\n      m: { input: -1, output: 1 }\n',
        `${own}:4: vendors.x.models.m.input: must be at least 0`,
      ],
      [
        'vendors:\n  x:\n    models:\n      m: { input: 1 }\n',
        `${own}:4: vendors.x.models.m.output: is missing`,
      ],
      [
        'vendors:\n  x:\n    models:\n      "****": { input: 1, output: 1 }\n',
        `${own}:4: vendors.x.models.****: the name: a name of a model with at most three "*"`,
      ],
      ['- 1\n', `${own}:1: must be a mapping`],
      ['vendors: [\n', `${own}:2: not valid YAML`],
      ['vendors: { __proto__: { models: {} } }\n', `${own}:1:`],
      [`as_of: yesterday\n`, `${own}:1: as_of:`],
    ] as const;
    for (const [text, message] of broken) {
      writeFileSync(own, text);
      await expect(prices.load()).rejects.toThrow(message);
      expect(of('claude', 'claude-sonnet-4-5')).toBeCloseTo(22.05);
    }
  });

  it('are matched in no time whatever an upstream calls its model', async () => {
    writeFileSync(own, 'vendors: { x: { providers: [x], models: { "*a*a*b": { input: 1, output: 1 } } } }');
    await prices.load();
    const name = 'a'.repeat(100_000);
    const begin = performance.now();
    for (let index = 0; index < 1000; index++) of('x', name, 'dearest');
    expect(performance.now() - begin).toBeLessThan(2_000);
  });

  it('we ship are valid, say that they are estimates and of when, and name entries that there are', async () => {
    const text = readFileSync(BUNDLED, 'utf8');
    const file = PricesFile.parse(parse(text));
    expect(text).toContain('ESTIMATES');
    expect(file.as_of).toMatch(/^20\d\d-\d\d-\d\d$/);
    const { entries } = await new AgentLoader({ bundled: 'resources/agents', own: directory }).roster();
    const providers = Object.values(file.vendors).flatMap((vendor) => vendor.providers);
    expect(new Set(providers).size).toBe(providers.length);
    for (const provider of providers) expect(entries.map(({ name }) => name)).toContain(provider);
  });
});
