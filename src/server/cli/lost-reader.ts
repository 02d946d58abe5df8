import type { Host } from '../host.ts';

/** What shells say of a program that a closed pipe ended. */
const READER_LEFT = 141;

/**
 * Ends the command when nobody can read what it says any more (`| head`): quietly, as SIGPIPE would, or with why, where
 * the output was a file. Tasks go on as after Ctrl-C.
 */
export function endWithReader({ stdout, stderr, exit }: Pick<Host, 'stdout' | 'stderr' | 'exit'>): void {
  stderr.once('error', () => exit(READER_LEFT));
  stdout.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return exit(READER_LEFT);
    stderr.write(`terok-mcp: standard output cannot be written (${error.code ?? 'unknown error'})\n`);
    return exit(1);
  });
}
