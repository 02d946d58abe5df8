/** A JSON object from outside: any key may be missing or hold anything. Keys of a prototype are never seen. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** More parts of one line are not looked at. */
const MAX_PARTS = 100;

export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The value at a path of keys. */
export function valueAt(object: JsonObject | undefined, ...path: readonly string[]): unknown {
  let value: unknown = object;
  for (const key of path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** A text that is not empty. */
export function textAt(object: JsonObject | undefined, ...path: readonly string[]): string | undefined {
  const value = valueAt(object, ...path);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function objectAt(object: JsonObject | undefined, ...path: readonly string[]): JsonObject | undefined {
  const value = valueAt(object, ...path);
  return isObject(value) ? value : undefined;
}

/** The first objects of a list. */
export function objectsAt(object: JsonObject | undefined, ...path: readonly string[]): readonly JsonObject[] {
  const value = valueAt(object, ...path);
  return Array.isArray(value) ? value.slice(0, MAX_PARTS).filter(isObject) : [];
}

/** The first texts of a list. */
export function textsAt(object: JsonObject | undefined, ...path: readonly string[]): readonly string[] {
  const value = valueAt(object, ...path);
  return Array.isArray(value)
    ? value.slice(0, MAX_PARTS).filter((item): item is string => typeof item === 'string' && item !== '')
    : [];
}

/** A whole number from 0 that is exact; undefined for anything else. */
export function countAt(object: JsonObject | undefined, ...path: readonly string[]): number | undefined {
  const value = valueAt(object, ...path);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** A number from 0. */
export function amountAt(object: JsonObject | undefined, ...path: readonly string[]): number | undefined {
  const value = valueAt(object, ...path);
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
