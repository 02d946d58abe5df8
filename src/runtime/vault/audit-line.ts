import { cleanLine } from '../core/untrusted-text.ts';
import { AuditRecord } from './contract.ts';

const MAX_WORD = 100;
const MAX_TARGET = 600;

/**
 * One line of the audit file, with its line break: plain ASCII, whatever a container put into a path, and at most some
 * kilobytes. A query never gets in, for it may hold secrets.
 */
export function renderAuditLine(record: AuditRecord): string {
  const { target, channel } = record;
  const texts = Object.fromEntries(
    Object.entries(record).map(([key, value]) => [
      key,
      typeof value === 'string' ? cleanLine(value, MAX_WORD) : value,
    ]),
  );
  const withoutQuery = channel === 'ssh' ? target : target.replace(/[?#].*$/su, '');
  const line = JSON.stringify({ ...texts, target: cleanLine(withoutQuery, MAX_TARGET) });
  return `${line.replace(NOT_ASCII, escaped)}\n`;
}

const NOT_ASCII = /[^\x20-\x7e]/g;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Undefined for a line that was cut off, or is none of ours. */
export function parseAuditLine(line: string): AuditRecord | undefined {
  try {
    return AuditRecord.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
