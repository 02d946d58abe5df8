import { open } from 'node:fs/promises';
import { InvalidInputError } from '../../runtime/core/errors.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';

/** Writes a new file that only its owner can read. Throws InvalidInputError where one stands already. */
export async function writeExport(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const why = error.code === 'EEXIST' ? 'exists already' : `cannot be written (${String(error.code)})`;
    throw new InvalidInputError(`${cleanLine(file, 300)} ${why}`, { hint: 'Name another file.' });
  }
}
