import { deepMerge, isMapping } from '../../core/deep-merge.ts';
import { InvalidInputError } from '../../core/errors.ts';
import { readPersonalFile } from '../../core/files.ts';
import { checkUnsetKeys, checkValue, locateProblems } from '../../core/schema-problems.ts';
import { documentError, parseYaml, type YamlDocument } from '../../core/yaml-document.ts';
import type { Usage } from '../parts.ts';
import { PricesFile, PriceTable } from './price-table.ts';

export interface Prices {
  costOf(
    provider: string,
    usage: Usage,
    options: { readonly whenUnknown: 'dearest' | 'none' },
  ): number | undefined;
}

const NOTHING_BELOW = { vendors: {} };

/** Our own prices with the person's laid over. */
export class PriceLoader implements Prices {
  readonly #bundled: string;
  readonly #own: string;
  #table: PriceTable | undefined;

  /** @param deps.bundled `resources/prices.yaml`; `deps.own` `prices.yaml` of the configuration, which may be absent. */
  constructor(deps: { readonly bundled: string; readonly own: string }) {
    this.#bundled = deps.bundled;
    this.#own = deps.own;
  }

  /**
   * Reads both anew. Throws InvalidInputError (file, line, key) for a file that cannot be used: then the prices of
   * before stay, or else ours alone.
   */
  async load(): Promise<void> {
    const bundled = await readMapping(this.#bundled);
    if (bundled === undefined) {
      throw new InvalidInputError(`${this.#bundled} does not exist`, {
        hint: 'The installation of terok-mcp is broken: install it again.',
      });
    }
    const base = checked(bundled, bundled.raw);
    this.#table ??= new PriceTable(base);
    const own = await readMapping(this.#own);
    if (own === undefined) {
      this.#table = new PriceTable(base);
      return;
    }
    const unset = checkUnsetKeys(PricesFile, own.raw);
    if (unset.length > 0) throw documentError(own.file, locateProblems(own.document, unset));
    this.#table = new PriceTable(checked(own, deepMerge(bundled.raw, own.raw)));
  }

  costOf(...request: Parameters<Prices['costOf']>): number | undefined {
    return (this.#table ?? new PriceTable(NOTHING_BELOW)).costOf(...request);
  }
}

interface Loaded {
  readonly file: string;
  readonly document: YamlDocument;
  readonly raw: Readonly<Record<string, unknown>>;
}

async function readMapping(file: string): Promise<Loaded | undefined> {
  const { text, isAbsent, problem } = await readPersonalFile(file);
  if (text === undefined) {
    if (isAbsent) return undefined;
    throw new InvalidInputError(`${file}: ${problem}`, {
      hint: 'Make it a readable text file, or remove it.',
    });
  }
  const { document, problems } = parseYaml(text);
  if (document === undefined) throw documentError(file, problems);
  const raw = document.value ?? {};
  if (isMapping(raw)) return { file, document, raw };
  throw documentError(file, [{ line: document.lineOf([]), key: '', problem: 'must be a mapping' }]);
}

function checked({ file, document }: Loaded, value: unknown): PricesFile {
  const { data, problems } = checkValue(PricesFile, value);
  if (data === undefined) throw documentError(file, locateProblems(document, problems));
  return data;
}
