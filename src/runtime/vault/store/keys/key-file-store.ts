import { rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { HostError } from '../../../core/errors.ts';
import { knownValue } from '../known-value.ts';
import { createPrivateFile, isPrivateFile, readPrivateFile } from '../private-file-store.ts';
import { decodeKey, type KeptKey, type KeyKeeper } from './kept-key.ts';

const NAME = 'vault.key';
const MAX_BYTES = 1024;
const Note = z.string().regex(/^vault\.key(\.[0-9a-f]{16})?$/);

/** A file that its owner alone can read. None is ever overwritten: a database out of a backup may still need it. */
export class KeyFile implements KeyKeeper {
  readonly #directory: string;

  constructor(deps: { readonly directory: string }) {
    this.#directory = deps.directory;
  }

  async keep(key: Buffer, id: string): Promise<string> {
    return this.keepNow(key, id);
  }

  keepNow(key: Buffer, id: string): string {
    const note = isPrivateFile(this.#fileOf(NAME)) ? `${NAME}.${id}` : NAME;
    createPrivateFile(this.#fileOf(note), `${id} ${key.toString('base64')}\n`);
    return note;
  }

  async fetch({ id, note }: KeptKey): Promise<Buffer> {
    const file = this.#fileOf(note);
    const [heldId, text] = readPrivateFile(file, MAX_BYTES)?.split(' ') ?? [];
    if (heldId === undefined) {
      throw new HostError(`The vault's key ${file} is not there`, {
        hint: 'Put the file back from a backup. Without it, move vault.db aside and store the credentials again.',
      });
    }
    if (heldId !== id || text === undefined) {
      throw new HostError(`${file} is not the key of this vault`, {
        hint: 'Put the one back that belongs to vault.db, from the same backup.',
      });
    }
    return decodeKey(text, file);
  }

  /** Under whichever name: a crash may have come before anybody noted it. */
  async forget({ id }: Pick<KeptKey, 'id'>): Promise<void> {
    for (const file of [this.#fileOf(NAME), this.#fileOf(`${NAME}.${id}`)]) {
      if (readPrivateFile(file, MAX_BYTES)?.startsWith(`${id} `) === true) rmSync(file);
    }
  }

  place(note: string): string {
    return `in the file ${this.#fileOf(note)}, which every program of yours can read: it protects a copy of vault.db alone, not the files of this account`;
  }

  #fileOf(note: string): string {
    return path.join(this.#directory, knownValue(Note, note, 'name of a key file'));
  }
}
