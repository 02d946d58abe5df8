import { cleanText, headOf } from '../core/untrusted-text.ts';
import type { LineRequest, TaskLog } from './contract.ts';
import type { LogLine } from './log-assembler.ts';
import { eventsOfLine } from './log-events.ts';
import { renderEvent } from './render.ts';

/** Longest line shown; a container may write one line of a megabyte. */
const MAX_LINE_CHARS = 4000;
const CUT = '… (line cut)';
/** Room for saying how much is missing. */
const NOTE_CHARS = 40;

/** Shows the lines of one page (pure but for remembering which conversation it named last). */
export class ReadableLines {
  readonly #log: TaskLog;
  readonly #request: LineRequest;
  #session: string | undefined;

  constructor(options: { readonly log: TaskLog; readonly request: LineRequest }) {
    this.#log = options.log;
    this.#request = options.request;
  }

  show(line: LogLine): readonly string[] {
    const { raw, contains } = this.#request;
    const shown = raw ? [asPrinted(line)] : this.#asMeant(line).map(cutLine);
    return contains === undefined ? shown : shown.filter((text) => text.includes(contains));
  }

  #asMeant(line: LogLine): readonly string[] {
    return eventsOfLine(line, this.#log.format).flatMap((event) => {
      if (event.kind !== 'session') return renderEvent(event);
      // Some agents name it with every step.
      if (event.id === this.#session) return [];
      this.#session = event.id;
      return renderEvent(event);
    });
  }
}

function asPrinted({ text, leftOut }: LogLine): string {
  const shown = cutLine(cleanText(headOf(text, MAX_LINE_CHARS + 1)));
  return leftOut === undefined ? shown : `${shown} (${leftOut} bytes left out)`;
}

const cutLine = (text: string): string =>
  text.length <= MAX_LINE_CHARS ? text : `${headOf(text, MAX_LINE_CHARS)}${CUT}`;

/** The first lines that fit in so many characters; what does not fit is counted. */
export function fitLines(lines: readonly string[], maxChars: number): readonly string[] {
  const fitting: string[] = [];
  let room = maxChars;
  for (const [index, line] of lines.entries()) {
    if (line.length + 1 > room) {
      const all = lengthOf(lines.slice(index));
      const space = Math.max(0, room - NOTE_CHARS);
      return [...fitting, `${headOf(line, space)}… (${all - space} more characters)`];
    }
    fitting.push(line);
    room -= line.length + 1;
  }
  return fitting;
}

/** With the newline that each would end with. */
export const lengthOf = (lines: readonly string[]): number =>
  lines.reduce((sum, line) => sum + line.length + 1, 0);
