import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { geteuid } from 'node:process';
import { z } from 'zod';
import { HostError, InvalidInputError } from '../core/errors.ts';
import { makePrivateDir, writeFileAtomic } from '../core/files.ts';
import { AgentName } from '../core/ids.ts';
import { Secret } from '../core/secret.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { Vault } from './contract.ts';

const MAX_KEY_CHARS = 16_384;
const MAX_FILE_BYTES = 64 * 1024;
const SUFFIX = '.json';

/** One line of printable characters: anything else is a file or a page that was pasted by mistake. */
const ApiKey = z
  .string()
  .regex(/^[\u0021-\u007e\u00a1-\uffff]+$/)
  .max(MAX_KEY_CHARS);
const Stored = z.strictObject({ kind: z.literal('api_key'), key: ApiKey });

/**
 * Keys in files of their own (0600, JSON) in a directory that only its owner enters. Whatever lies there that
 * another user could have put or read is refused: HostError, with the path and never with the content.
 */
export class KeyFileVault implements Vault {
  readonly #directory: string;

  constructor(deps: { readonly directory: string }) {
    this.#directory = deps.directory;
  }

  async credential(name: string): Promise<ReadonlyMap<string, Secret> | undefined> {
    const file = this.#fileOf(name);
    if (!(await this.#exists())) return undefined;
    const text = await readPrivateFile(file);
    if (text === undefined) return undefined;
    const stored = Stored.safeParse(parseJson(text));
    if (!stored.success) throw refused(file, 'does not hold a key that we stored');
    return new Map([['key', new Secret(stored.data.key)]]);
  }

  async storeApiKey(name: string, key: Secret): Promise<void> {
    const file = this.#fileOf(name);
    if (!ApiKey.safeParse(key.reveal()).success) {
      throw new InvalidInputError('This is no API key', {
        hint: `A key is one line of at most ${MAX_KEY_CHARS} printable characters, without spaces.`,
      });
    }
    await makePrivateDir(this.#directory, ownUid());
    const content = { kind: 'api_key', key: key.reveal() } satisfies z.infer<typeof Stored>;
    await writeFileAtomic(file, `${JSON.stringify(content)}\n`, 0o600);
  }

  async remove(name: string): Promise<boolean> {
    const file = this.#fileOf(name);
    if (!(await this.#exists())) return false;
    // A link goes, not what it leads to.
    return await unlink(file).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
  }

  async names(): Promise<readonly string[]> {
    if (!(await this.#exists())) return [];
    const entries = await readdir(this.#directory);
    return entries
      .filter((entry) => entry.endsWith(SUFFIX))
      .map((entry) => entry.slice(0, -SUFFIX.length))
      .filter((name) => AgentName.safeParse(name).success)
      .sort();
  }

  #fileOf(name: string): string {
    if (!AgentName.safeParse(name).success) {
      throw new InvalidInputError(`"${cleanLine(name, 60)}" is no name of an agent or tool`, {
        hint: '"terok-mcp agent list" shows the names there are.',
      });
    }
    return path.join(this.#directory, `${name}${SUFFIX}`);
  }

  /** Says whether there is a directory. One that others could have changed or read is not used. */
  async #exists(): Promise<boolean> {
    const info = await lstat(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (info === undefined) return false;
    if (!info.isDirectory()) throw refused(this.#directory, 'is not a directory');
    if (info.uid !== ownUid()) throw refused(this.#directory, 'belongs to another user');
    if ((info.mode & 0o077) !== 0) {
      throw refused(this.#directory, 'can be entered by others', `chmod 700 ${this.#directory}`);
    }
    return true;
  }
}

/** Undefined when there is none. Neither follows a link nor waits at a pipe, and judges the very file it reads. */
async function readPrivateFile(file: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    if (code === 'ENOENT') return undefined;
    throw refused(file, code === 'ELOOP' ? 'is a link' : `cannot be opened (${code})`);
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw refused(file, 'is not a regular file');
    if (info.uid !== ownUid()) throw refused(file, 'belongs to another user');
    if ((info.mode & 0o077) !== 0) throw refused(file, 'is open to others', `chmod 600 ${file}`);
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MAX_FILE_BYTES) throw refused(file, 'is too large to be a key');
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

const ownUid = (): number => geteuid?.() ?? 0;

function refused(what: string, why: string, fix?: string): HostError {
  return new HostError(`${what} ${why}, so the credential is not used`, {
    hint:
      fix === undefined
        ? 'Remove it, store the key again with "terok-mcp auth", and consider the old one known to others.'
        : `If nobody else can have read it, run "${fix}"; otherwise get a new key and store that.`,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
