import { isMapping } from '../core/deep-merge.ts';
import { InvalidInputError, NotFoundError } from '../core/errors.ts';
import { readPersonalFile } from '../core/files.ts';
import { didYouMean, quoted } from '../core/nearest.ts';
import { checkValue } from '../core/schema-problems.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { documentError, showKey } from '../core/yaml-document.ts';
import { type Subagent, SubagentSettings } from './contract.ts';
import { parseMarkdownAgent } from './markdown-agent.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What an agent is told of a sub-agent, besides its prompt; anything else is for people. */
const FIELDS = [
  'description',
  'tools',
  'disallowedTools',
  'model',
  'permissionMode',
  'mcpServers',
  'hooks',
  'maxTurns',
  'skills',
  'memory',
  'background',
  'isolation',
] as const;

export class SubagentLoader {
  /**
   * The sub-agents of a run: those that are default and those selected by name. Of two with one name the later
   * counts, in the place of the earlier. Throws NotFoundError for a selected name nobody has, and
   * InvalidInputError for a file that is missing, unreadable or has no name, with who named it: what was asked for
   * must not be left out in silence.
   *
   * @param entries merged `subagents`, whose files are absolute.
   * @param options.origins by file, who named it.
   */
  async load(
    entries: unknown,
    options: { readonly origins: ReadonlyMap<string, string>; readonly selected: readonly string[] },
  ): Promise<readonly Subagent[]> {
    const known = new Map<string, { readonly isDefault: boolean; readonly subagent: Subagent }>();
    for (const entry of Array.isArray(entries) ? entries : []) {
      // What is left of "_inherit" found nothing below.
      if (!isMapping(entry)) continue;
      const fields = await this.#fields(entry, options.origins);
      const name = fields['name'];
      if (typeof name !== 'string' || name === '') throw nameless(entry, options.origins);
      known.set(name, {
        isDefault: fields['default'] === true,
        subagent: { name, fields: told(fields) },
      });
    }
    for (const name of options.selected) if (!known.has(name)) throw unknown(name, [...known.keys()]);
    const selected = new Set(options.selected);
    return [...known.values()]
      .filter(({ isDefault, subagent }) => isDefault || selected.has(subagent.name))
      .map(({ subagent }) => subagent);
  }

  /** What an entry itself says wins over its file. */
  async #fields(entry: Fields, origins: ReadonlyMap<string, string>): Promise<Fields> {
    const { file, ...own } = entry;
    if (typeof file !== 'string') return own;
    const { text, problem } = await readPersonalFile(file);
    if (text === undefined) {
      throw new InvalidInputError(`${file}: ${problem}, and ${origins.get(file) ?? 'a layer'} names it`, {
        hint: 'Correct the path (it is relative to the file that names it), or remove the sub-agent.',
      });
    }
    const { fields, problems } = parseMarkdownAgent(text);
    if (fields === undefined) throw documentError(file, problems);
    const checked = checkValue(SubagentSettings, fields);
    const [wrong] = checked.problems ?? [];
    if (wrong !== undefined) {
      throw new InvalidInputError(`${file}: ${showKey(wrong.path)}: ${wrong.problem}`, {
        hint: `Correct the front matter of ${file}.`,
      });
    }
    return { ...fields, ...own };
  }
}

function told(fields: Fields): Fields {
  const prompt = fields['system_prompt'] ?? fields['prompt'];
  const entries = FIELDS.map((name) => [name, fields[name]] as const);
  return Object.fromEntries(
    [...entries, ['prompt', prompt] as const].filter(([, value]) => value !== undefined && value !== null),
  );
}

function nameless(entry: Fields, origins: ReadonlyMap<string, string>): InvalidInputError {
  const file = String(entry['file']);
  return new InvalidInputError(
    `${file}: has no name, and ${origins.get(file) ?? 'a layer'} makes it a sub-agent`,
    { hint: 'Give it a "name", in its front matter or where the file is named.' },
  );
}

function unknown(name: string, known: readonly string[]): NotFoundError {
  const otherwise =
    known.length > 0
      ? `Known sub-agents: ${known.map((other) => cleanLine(other, 64)).join(', ')}.`
      : 'None are configured: they are listed under agent.subagents.';
  return new NotFoundError(`No sub-agent named ${quoted(name)}`, {
    hint: didYouMean(name, known, otherwise, quoted),
  });
}
