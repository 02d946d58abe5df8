import type { Writable } from 'node:stream';
import type { RuntimeError } from '../../runtime/core/errors.ts';
import { cleanLine, cleanText } from '../../runtime/core/untrusted-text.ts';

/** Writes for people. Whatever passes through here is cleaned: containers choose some of these words. */
export class Output {
  readonly #stdout: Writable;
  readonly #stderr: Writable;

  constructor(deps: { readonly stdout: Writable; readonly stderr: Writable }) {
    this.#stdout = deps.stdout;
    this.#stderr = deps.stderr;
  }

  line(text = ''): void {
    this.#stdout.write(`${cleanText(text)}\n`);
  }

  json(value: unknown): void {
    this.#stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** Columns as wide as their widest cell; the last one is as long as it likes. */
  table(header: readonly string[], rows: ReadonlyArray<readonly string[]>): void {
    const cells = [header, ...rows].map((row) => row.map((cell) => cleanLine(cell, 200)));
    const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
    for (const row of cells) {
      this.#stdout.write(
        `${row
          .map((cell, column) => (column === header.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
          .join('  ')
          .trimEnd()}\n`,
      );
    }
  }

  note(text: string): void {
    this.#stderr.write(`${cleanText(text)}\n`);
  }

  failure(error: RuntimeError): void {
    this.note(`terok-mcp: ${error.message}`);
    if (error.hint !== undefined) this.note(`  ${error.hint}`);
    if (error.details !== undefined && error.details !== '')
      this.note(error.details.replaceAll(/^/gm, '  | '));
  }
}
