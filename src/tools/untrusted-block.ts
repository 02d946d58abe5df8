import { randomBytes } from 'node:crypto';
import { cleanText } from '../runtime/core/untrusted-text.ts';

/**
 * Text a sandbox or a remote wrote, cleaned and marked as such. The marker is drawn at random until the text
 * does not contain it, so nothing inside can close the block and speak in our voice.
 */
export function untrustedBlock(label: string, text: string, draw: () => string = randomMarker): string {
  const cleaned = cleanText(text);
  let marker = draw();
  while (cleaned.includes(marker)) marker = draw();
  return `--- begin untrusted ${label} [${marker}] ---\n${cleaned}\n--- end untrusted ${label} [${marker}] ---`;
}

function randomMarker(): string {
  return randomBytes(4).toString('hex');
}

/** The last whole lines that fit; what was left out is counted. */
export function lastLines(lines: readonly string[], maxChars: number): string {
  const kept: string[] = [];
  let length = 0;
  for (const line of lines.toReversed()) {
    length += line.length + 1;
    if (length > maxChars) break;
    kept.unshift(line);
  }
  if (kept.length === 0 && lines.length > 0) return `…${(lines.at(-1) ?? '').slice(-maxChars)}`;
  const omitted = lines.length - kept.length;
  return omitted === 0 ? kept.join('\n') : `… (${omitted} earlier lines)\n${kept.join('\n')}`;
}
