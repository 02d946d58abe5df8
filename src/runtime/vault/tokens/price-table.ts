import { z } from 'zod';
import { AgentName } from '../../core/ids.ts';
import type { Usage } from '../parts.ts';

const dollars = z.number().min(0).max(100_000);

const Price = z
  .strictObject({
    input: dollars.describe('Tokens of a prompt.'),
    output: dollars.describe('Tokens of an answer, thinking among them.'),
    cache_read: dollars.optional().describe('Tokens of a prompt that were kept. Default: input.'),
    cache_write: dollars.optional().describe('Tokens of a prompt that are kept from now on. Default: input.'),
  })
  .describe('US dollars per million tokens.');
type Price = z.infer<typeof Price>;

/** Few stars: matching a name is quick whatever an upstream calls its model. */
const ModelPattern = z
  .string()
  .max(100)
  .regex(/^(?!$)[^*\s\p{Cc}]*(?:\*[^*\s\p{Cc}]*){0,3}$/u, 'a name of a model with at most three "*"');

/** `prices.yaml`. */
export const PricesFile = z
  .strictObject({
    as_of: z.iso.date().describe('The day the prices were looked up.'),
    vendors: z.record(
      z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'lower-case letters, digits and "-", at most 32'),
      z.strictObject({
        providers: z.array(AgentName).default([]).describe('Entries of the roster that send to it.'),
        models: z.record(ModelPattern, Price).describe('By name of the model.'),
      }),
    ),
  })
  .describe('What models cost.');
export type PricesFile = z.infer<typeof PricesFile>;
type Vendor = PricesFile['vendors'][string];

const MILLION = 1_000_000;
const MAX_NAME = 200;

/** What requests cost by the public prices. Pure. */
export class PriceTable {
  readonly #vendors: readonly Vendor[];

  constructor(file: Pick<PricesFile, 'vendors'>) {
    this.#vendors = Object.values(file.vendors);
  }

  /**
   * US dollars. Undefined where no price of the model is known, unless `dearest` asks for that of the dearest known
   * model of the entry's vendor; for an entry of no known vendor, of all of them.
   */
  costOf(
    provider: string,
    usage: Usage,
    options: { readonly whenUnknown: 'dearest' | 'none' },
  ): number | undefined {
    const vendors = this.#vendorsOf(provider);
    const known = usage.model === undefined ? undefined : priceOf(usage.model, vendors);
    if (known !== undefined) return cost(known, usage);
    if (options.whenUnknown === 'none') return undefined;
    // By what this very usage would cost: one model may be dear to ask, another dear to answer.
    return Math.max(...pricesOf(vendors).map((price) => cost(price, usage)));
  }

  #vendorsOf(provider: string): readonly Vendor[] {
    const own = this.#vendors.filter(({ providers }) => providers.includes(provider));
    return own.length > 0 ? own : this.#vendors;
  }
}

/** Where no price is known at all, a budget still ends. */
const WITHOUT_LIST: Price = { input: 150, output: 600 };

function pricesOf(vendors: readonly Vendor[]): readonly Price[] {
  const prices = vendors.flatMap(({ models }) => Object.values(models));
  return prices.length > 0 ? prices : [WITHOUT_LIST];
}

/** Resellers put a name in front, like `anthropic/`. */
function priceOf(model: string, vendors: readonly Vendor[]): Price | undefined {
  const name = model.slice(0, MAX_NAME).toLowerCase();
  const names = [name, name.slice(name.lastIndexOf('/') + 1)];
  // What fits everything says what one vendor asks, nothing of the others.
  const isAmongMany = vendors.length > 1;
  const fitting = vendors
    .flatMap(({ models }) => Object.entries(models))
    .filter(([pattern]) => !(isAmongMany && weightOf(pattern) === 0))
    .filter(([pattern]) => names.some((one) => fits(pattern.toLowerCase(), one)))
    .toSorted(([a], [b]) => weightOf(b) - weightOf(a));
  return fitting[0]?.[1];
}

const weightOf = (pattern: string): number => pattern.replaceAll('*', '').length;

function fits(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

const cost = (price: Price, usage: Usage): number =>
  (usage.inputTokens * price.input +
    usage.outputTokens * price.output +
    usage.cacheReadTokens * (price.cache_read ?? price.input) +
    usage.cacheWriteTokens * (price.cache_write ?? price.input)) /
  MILLION;
