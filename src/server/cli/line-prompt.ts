import type { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { CancelledError } from '../../runtime/core/errors.ts';

/**
 * One line that a person types at a terminal, without spaces around it. The terminal can be given to another program
 * afterwards, or asked again. Throws CancelledError for Ctrl-D.
 */
export async function readLine({ stdin }: { readonly stdin: Readable }, ask: () => void): Promise<string> {
  ask();
  const typed = stdin instanceof ReadStream ? stdin.iterator({ destroyOnReturn: false }) : stdin;
  try {
    for await (const chunk of typed) return String(chunk).trim();
  } finally {
    stdin.pause();
  }
  throw new CancelledError('Nothing was kept');
}
