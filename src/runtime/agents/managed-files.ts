import { isMapping } from '../core/deep-merge.ts';
import { InvalidInputError } from '../core/errors.ts';
import { isAgent } from './agent-channels.ts';
import { sessionHook } from './claude-hook.ts';
import type { AgentConfigFile, AgentRunInput, RosterEntry } from './contract.ts';

/** One contribution to a file that agents read at a place of their own, like /etc/codex/managed_config.toml. */
interface Fragment {
  readonly path: string;
  readonly content: string;
  readonly from: string;
}

/**
 * Files at places of the agents' own choosing, each once, however many contribute to it: what is always there,
 * approvals, hooks and instructions. Throws InvalidInputError when two cannot both be so.
 */
export function managedFiles(input: AgentRunInput): readonly AgentConfigFile[] {
  const fragments = new Map<string, Fragment[]>();
  for (const fragment of input.roster.flatMap((entry) => fragmentsOf(entry, input))) {
    const others = fragments.get(fragment.path) ?? [];
    fragments.set(fragment.path, [...others, fragment]);
  }
  return [...fragments].map(([path, parts]) => ({
    path: `managed${path}`,
    content: path.endsWith('.json') ? joinJson(parts) : joinText(parts),
    isExecutable: false,
    mountedAt: path,
  }));
}

/** In TOML keys of the top level come before all tables: of these only `files` has any. */
function fragmentsOf(entry: RosterEntry, input: AgentRunInput): readonly Fragment[] {
  const from = entry.name;
  const always = entry.files.map((file) => ({ ...file, from }));
  if (!isAgent(entry)) return always;
  const { instructions } = entry;
  const told =
    instructions.via === 'toml' && input.settings.instructions !== ''
      ? [
          {
            path: instructions.path,
            content: `${instructions.key} = ${tomlString(input.settings.instructions)}\n`,
            from,
          },
        ]
      : [];
  const approvals = input.isRestricted
    ? []
    : entry.unrestricted.flatMap((approval) =>
        approval.via === 'file' ? [{ path: approval.path, content: approval.content, from }] : [],
      );
  const hook = entry.session_hook ? [{ ...sessionHook(), from }] : [];
  return [...told, ...approvals, ...hook, ...always];
}

function joinText(parts: readonly Fragment[]): string {
  const [first] = parts;
  const other = parts.find(({ from }) => from !== first?.from);
  const unlike = other !== undefined && new Set(parts.map(({ content }) => content)).size > 1;
  if (first !== undefined && other !== undefined && unlike) throw contradiction(first, other);
  return [...new Set(parts.map(({ content }) => content))].map(withEnd).join('');
}

const withEnd = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);

function joinJson(parts: readonly Fragment[]): string {
  let merged: unknown;
  for (const [index, part] of parts.entries()) {
    const value = parsed(part);
    const joined = index === 0 ? { value } : union(merged, value);
    if (joined === undefined) throw contradiction(parts[0] ?? part, part);
    merged = joined.value;
  }
  return `${JSON.stringify(merged, undefined, 2)}\n`;
}

function parsed({ path, content, from }: Fragment): unknown {
  try {
    const value: unknown = JSON.parse(content);
    return value;
  } catch {
    throw new InvalidInputError(`What ${from} puts into ${path} is not JSON`, {
      hint: `Correct ${from}.yaml.`,
    });
  }
}

/** What two values say together; undefined when they contradict each other. */
function union(a: unknown, b: unknown): { readonly value: unknown } | undefined {
  if (JSON.stringify(a) === JSON.stringify(b)) return { value: a };
  if (Array.isArray(a) && Array.isArray(b)) {
    const have = new Set(a.map((element: unknown) => JSON.stringify(element)));
    return { value: [...a, ...b.filter((element: unknown) => !have.has(JSON.stringify(element)))] };
  }
  if (!isMapping(a) || !isMapping(b)) return undefined;
  const entries = new Map(Object.entries(a));
  for (const [key, value] of Object.entries(b)) {
    const joined = entries.has(key) ? union(entries.get(key), value) : { value };
    if (joined === undefined) return undefined;
    entries.set(key, joined.value);
  }
  return { value: Object.fromEntries(entries) };
}

const contradiction = (a: Fragment, b: Fragment): InvalidInputError =>
  new InvalidInputError(`${a.from} and ${b.from} want different things in ${a.path}`, {
    hint: 'Correct one of their files in the roster.',
  });

/** A basic string of TOML (https://toml.io/en/v1.0.0#string): JSON's escapes, and DEL; no half surrogates. */
export function tomlString(text: string): string {
  const whole = text.replace(
    /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    '\ufffd',
  );
  return JSON.stringify(whole).replaceAll('\u007f', '\\u007f');
}
