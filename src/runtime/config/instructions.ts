import { INHERIT } from '../core/deep-merge.ts';
import { valueForAgent } from './per-agent.ts';

/**
 * The instructions for one agent, from the merged `instructions` of the layers: a text is taken as it is, in a
 * list `_inherit` stands for the bundled text and the items are set apart by blank lines, a mapping is by agent.
 * Without any it is the bundled text. The project's own file is appended. An empty text or list means none.
 */
export function resolveInstructions(input: {
  /** Of the merged layers. */
  readonly value: unknown;
  readonly agent: string;
  readonly bundled: string;
  /** Content of the project's `instructions.md`; undefined where there is none. */
  readonly projectFile: string | undefined;
}): { readonly text: string; readonly hasCustom: boolean } {
  const { value, agent, bundled, projectFile } = input;
  const own = valueForAgent('instructions', { instructions: value }, agent);
  const base = textOf(own, bundled);
  const appended = projectFile?.trim() ?? '';
  return {
    text: [base, appended].filter((part) => part !== '').join('\n\n'),
    hasCustom: (value !== undefined && value !== null) || projectFile !== undefined,
  };
}

function textOf(value: unknown, bundled: string): string {
  if (value === undefined) return bundled;
  if (Array.isArray(value)) {
    return value.map((item: unknown) => (item === INHERIT ? bundled : String(item))).join('\n\n');
  }
  return String(value);
}
