/**
 * Text from a container, a git remote or a program's stderr is hostile data: it may carry terminal escapes,
 * bidirectional overrides that reorder what a person reads, or a megabyte of noise.
 */

const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
// C0 except tab and newline, DEL, C1, zero-width and bidirectional controls, line/paragraph separators, BOM, tags and
// variation selectors 17 to 256, which can spell what nobody sees.
const UNSAFE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\uddef]/g;

/** Shows every unsafe character as `\u{hex}`; terminal escape sequences go whole. Newlines and tabs stay. */
export function cleanText(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(ANSI, '')
    .replace(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** `cleanText` on one line of at most `maxLength` characters; what was cut is counted. */
export function cleanLine(text: string, maxLength = 200): string {
  const line = cleanText(text).replace(/[\n\t]/g, (character) => (character === '\n' ? '\\n' : ' '));
  return cutText(line, maxLength);
}

/** At most `maxLength` characters; what was cut is counted. */
export function cutText(text: string, maxLength: number): string {
  const head = headOf(text, maxLength);
  return head.length === text.length ? text : `${head}… (${text.length - head.length} more)`;
}

/** The first characters, never half of one. */
export function headOf(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return text.slice(0, /[\ud800-\udbff]/.test(text.charAt(maxLength - 1)) ? maxLength - 1 : maxLength);
}

/** The last `maxLength` characters of some output, cleaned: errors stand at the end. */
export function cleanTail(text: string, maxLength = 2000): string {
  const cleaned = cleanText(text.slice(-2 * maxLength)).trim();
  return cleaned.length <= maxLength ? cleaned : `…${cleaned.slice(-maxLength)}`;
}
