import { INHERIT, isMapping } from '../core/deep-merge.ts';

type Layer = Readonly<Record<string, unknown>>;

/**
 * What a key says for one agent: the value itself, or of a mapping the agent's entry, else that of `_default`.
 * Absent, `null` and an `_inherit` that found nothing below are undefined; 0, false and "" are values.
 */
export function valueForAgent(key: string, layer: Layer, agent: string): unknown {
  const value = Object.hasOwn(layer, key) ? layer[key] : undefined;
  if (!isMapping(value)) return said(value);
  const own = Object.hasOwn(value, agent) ? said(value[agent]) : undefined;
  return own ?? (Object.hasOwn(value, '_default') ? said(value['_default']) : undefined);
}

const said = (value: unknown): unknown => (value === null || value === INHERIT ? undefined : value);

export function agentText(key: string, layer: Layer, agent: string): string | undefined {
  const value = valueForAgent(key, layer, agent);
  return typeof value === 'string' ? value : undefined;
}

export function agentNumber(key: string, layer: Layer, agent: string): number | undefined {
  const value = valueForAgent(key, layer, agent);
  return typeof value === 'number' ? value : undefined;
}

const FALSE_WORDS: ReadonlySet<string> = new Set(['', 'false', '0', 'no', 'off']);

/** Words count as people mean them: empty, false, 0, no and off are false, any other is true. */
export function agentFlag(key: string, layer: Layer, agent: string): boolean | undefined {
  const value = valueForAgent(key, layer, agent);
  if (typeof value === 'string') return !FALSE_WORDS.has(value.trim().toLowerCase());
  return typeof value === 'boolean' ? value : undefined;
}
