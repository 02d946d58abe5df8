import { InvalidInputError } from './errors.ts';

type Mapping = Readonly<Record<string, unknown>>;

/** Stands for "what the layers below say", as a value, an element of a list or, with `true`, a key. */
export const INHERIT = '_inherit';

/**
 * Lays one mapping over another, key by key:
 * - `null` deletes the key; the text `_inherit` keeps what is below, if anything is;
 * - a mapping over a mapping is merged likewise, and `_inherit: true` inside it says only that and is dropped;
 * - a list over a list replaces it, but each `_inherit` in it becomes all elements of the one below;
 * - anything else replaces.
 *
 * Over nothing, or over another type, a mapping or list is taken as it stands, with its nulls and `_inherit`s.
 * The result shares no mapping or list with its inputs. Throws InvalidInputError for keys that reach an object's
 * prototype, wherever they stand: dropping them would hide an attack.
 */
export function deepMerge(base: Mapping, override: Mapping): Record<string, unknown> {
  const result = copyMapping(base);
  for (const [key, value] of Object.entries(override)) {
    refuse(key);
    if (value === null) delete result[key];
    else if (value !== INHERIT && value !== undefined)
      result[key] = laidOver(Object.hasOwn(base, key) ? base[key] : undefined, value);
  }
  return result;
}

function laidOver(below: unknown, value: unknown): unknown {
  if (isMapping(value) && isMapping(below)) return deepMerge(below, withoutMark(value));
  if (Array.isArray(value) && Array.isArray(below)) {
    return value.flatMap((element: unknown) =>
      element === INHERIT ? below.map(copyPlain) : [copyPlain(element)],
    );
  }
  return copyPlain(value);
}

function withoutMark(value: Mapping): Mapping {
  if (!Object.hasOwn(value, INHERIT) || value[INHERIT] !== true) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== INHERIT));
}

/** A copy of plain data that shares nothing with it. Throws like `deepMerge`. */
export function copyPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyPlain);
  return isMapping(value) ? copyMapping(value) : value;
}

function copyMapping(value: Mapping): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, inner]) => {
    refuse(key);
    return [key, copyPlain(inner)] as const;
  });
  return Object.fromEntries(entries);
}

const PROTOTYPE_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** Whether a key, assigned carelessly, would change more than the object it stands in. */
export function isPrototypeKey(key: string): boolean {
  return PROTOTYPE_KEYS.has(key);
}

function refuse(key: string): void {
  if (!isPrototypeKey(key)) return;
  throw new InvalidInputError(`"${key}" cannot be a key of a setting`, { hint: 'Choose another name.' });
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
