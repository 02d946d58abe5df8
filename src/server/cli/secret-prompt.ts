import type { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { CancelledError, InvalidInputError } from '../../runtime/core/errors.ts';
import { Secret } from '../../runtime/core/secret.ts';

/** As much as the vault takes. */
const MAX_CHARS = 16_384;

/**
 * A secret from standard input: all of it where that is a pipe or file, one line that is not shown where it is a
 * terminal. Spaces and line breaks around it go. Throws InvalidInputError for none, CancelledError for Ctrl-C.
 */
export async function readSecret(
  { stdin }: { readonly stdin: Readable },
  show: (prompt: string) => void,
  what: string,
): Promise<Secret> {
  const isTyped = stdin instanceof ReadStream;
  if (isTyped) show(`${what}, and Enter (nothing is shown):`);
  const text = isTyped ? await typed(stdin) : await piped(stdin);
  const secret = text.trim();
  if (secret === '') {
    throw new InvalidInputError('No key was given', {
      hint: 'Type it when asked, or pipe it: terok-mcp auth <name> < file',
    });
  }
  return new Secret(secret);
}

/**
 * A passphrase, as `readSecret` reads a key, with its spaces. A new one is asked for twice at a terminal. Throws
 * InvalidInputError for none, or two that differ.
 */
export async function readPassphrase(
  { stdin }: { readonly stdin: Readable },
  show: (prompt: string) => void,
  { what, isNew }: { readonly what: string; readonly isNew: boolean },
): Promise<Secret> {
  const isTyped = stdin instanceof ReadStream;
  if (isTyped) show(`${what}, and Enter (nothing is shown):`);
  const passphrase = isTyped ? await typed(stdin) : (await piped(stdin)).replace(/\r?\n$/, '');
  if (passphrase === '') {
    throw new InvalidInputError('No passphrase was given', { hint: 'Type it when asked, or pipe it.' });
  }
  if (isTyped && isNew) {
    show('Once more:');
    if ((await typed(stdin)) !== passphrase)
      throw new InvalidInputError('The two differ; nothing was changed', { hint: 'Try again.' });
  }
  return new Secret(passphrase);
}

const tooLong = (): InvalidInputError =>
  new InvalidInputError(`What was given is longer than ${MAX_CHARS} characters`, {
    hint: 'Give the key or passphrase alone.',
  });

async function piped(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MAX_CHARS) throw tooLong();
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Raw mode: nothing is echoed, and the keys that end a line or a program are ours to know. */
async function typed(terminal: ReadStream): Promise<string> {
  terminal.setRawMode(true);
  try {
    let line = '';
    // Left open: there may be a second question.
    for await (const chunk of terminal.iterator({ destroyOnReturn: false })) {
      for (const key of String(chunk)) {
        if (key === '\r' || key === '\n' || key === '\u0004') return line;
        if (key === '\u0003') throw new CancelledError('Nothing was kept');
        if (key === '\u007f' || key === '\b') line = line.slice(0, -1);
        else if (key === '\u0015') line = '';
        else line += key;
      }
      if (line.length > MAX_CHARS) throw tooLong();
    }
    return line;
  } finally {
    terminal.setRawMode(false);
    terminal.pause();
  }
}
