/** September 2001 in milliseconds, the year 33658 in seconds. */
const MILLISECONDS_FROM = 1e12;

/**
 * A point of time as vendors write it, in seconds since 1970: seconds or JavaScript's milliseconds, as a number, its
 * digits or a date of ISO 8601. Null for anything else.
 */
export function toSeconds(value: unknown): number | null {
  if (typeof value === 'string') {
    if (/^\d{1,16}$/.test(value)) return toSeconds(Number(value));
    return /^\d{4}-\d{2}-\d{2}T/.test(value) ? toSeconds(Date.parse(value)) : null;
  }
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) return null;
  return Math.floor(value >= MILLISECONDS_FROM ? value / 1000 : value);
}
