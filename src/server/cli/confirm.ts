import { createInterface } from 'node:readline/promises';
import type { Host } from '../host.ts';

/** A person's yes, typed; anything else is a no. */
export async function isConfirmed(host: Pick<Host, 'stdin' | 'stdout'>, question: string): Promise<boolean> {
  const dialog = createInterface({ input: host.stdin, output: host.stdout });
  try {
    return /^y(?:es)?$/i.test((await dialog.question(`${question} [y/N] `)).trim());
  } finally {
    dialog.close();
  }
}
