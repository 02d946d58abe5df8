import type { JsonObject } from './json-fields.ts';

/** What Copilot writes wherever the text of a secret would stand, in names as well as in values. */
const MASK = '******';
const MAX_NAME_CHARS = 200;

/** The one known name that a masked one can stand for; as it is where none or several can. */
export function unmask(name: string, known: readonly string[]): string {
  if (!name.includes(MASK) || name.length > MAX_NAME_CHARS) return name;
  const [only, ...others] = known.filter((candidate) => fits(candidate, name.split(MASK)));
  return only === undefined || others.length > 0 ? name : only;
}

/** An object with the known ones among its keys unmasked. */
export function unmaskKeys(object: JsonObject, known: readonly string[]): JsonObject {
  const keys = Object.keys(object);
  if (!keys.some((key) => key.includes(MASK))) return object;
  return Object.fromEntries(keys.map((key) => [unmask(key, known), object[key]]));
}

/** Whether the pieces stand in the name in this order, and it begins and ends with the outer ones. */
function fits(name: string, pieces: readonly string[]): boolean {
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return at + last.length <= name.length;
}
