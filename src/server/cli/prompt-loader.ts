import { createReadStream } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { InvalidInputError } from '../../runtime/core/errors.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import { MAX_PROMPT_CHARS, promptField } from '../../tools/fields.ts';
import type { Host } from '../host.ts';
import { UsageError } from './command.ts';

/** UTF-8 takes at most three bytes for what JavaScript counts as one. */
const MAX_PROMPT_BYTES = 3 * MAX_PROMPT_CHARS;

export const promptOptions = {
  prompt: { type: 'string', short: 'p' },
  'prompt-file': { type: 'string' },
} as const;

/**
 * The prompt as it was given, byte for byte: `-p TEXT`, `-p -` for standard input, or a file (which may be a pipe).
 * Throws UsageError when there is none or more than one, InvalidInputError for one that cannot be used.
 */
export async function loadPrompt(
  values: { readonly prompt?: string | undefined; readonly 'prompt-file'?: string | undefined },
  { cwd, stdin }: Pick<Host, 'cwd' | 'stdin'>,
): Promise<string> {
  const { prompt, 'prompt-file': file } = values;
  if (prompt !== undefined && file !== undefined)
    throw new UsageError('-p and --prompt-file exclude each other');
  if (file !== undefined) return checked(await readFile(path.resolve(cwd, file)));
  if (prompt === undefined)
    throw new UsageError('the prompt is missing: -p <text>, -p - (standard input) or --prompt-file <file>');
  return checked(prompt === '-' ? await readText(stdin) : prompt);
}

async function readFile(file: string): Promise<string> {
  try {
    return await readText(createReadStream(file));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error instanceof InvalidInputError) throw error;
    throw new InvalidInputError(`The prompt file ${file} cannot be read (${String(error.code)})`, {
      cause: error,
    });
  }
}

async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MAX_PROMPT_BYTES) throw tooLong();
    chunks.push(bytes);
  }
  try {
    // A byte order mark is part of what was given.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw new InvalidInputError('The prompt is not UTF-8 text', {
      hint: 'Convert it, for instance with iconv -t UTF-8.',
      cause: error,
    });
  }
}

function checked(prompt: string): string {
  if (prompt === '') throw new InvalidInputError('The prompt is empty', { hint: 'Say what is to be done.' });
  if (prompt.length > MAX_PROMPT_CHARS) throw tooLong();
  const parsed = promptField.safeParse(prompt);
  if (!parsed.success)
    throw new InvalidInputError(`The prompt ${cleanLine(parsed.error.issues[0]?.message ?? 'is invalid')}`, {
      hint: 'Give it as text.',
    });
  return parsed.data;
}

function tooLong(): InvalidInputError {
  return new InvalidInputError(`The prompt is longer than ${MAX_PROMPT_CHARS} characters`, {
    hint: 'Put what is long into the repository, and name the file in the prompt.',
  });
}
