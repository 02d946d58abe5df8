import type { Command, CommandRunner } from '../../../core/command.ts';
import { HostError } from '../../../core/errors.ts';
import type { Secret } from '../../../core/secret.ts';
import { KEY_BYTES } from '../sealing.ts';

/** A key as `vault.db` knows it. */
export interface KeptKey {
  /** Chosen anew for each key: two keys never share a place. */
  readonly id: string;
  /** What its keeper needs to find it again: no secret by itself. */
  readonly note: string;
}

/** A place that keeps the one key which opens the vault's data key. None falls back to another. */
export interface KeyKeeper {
  /**
   * Returns the note. Leaves what it kept earlier where it is. Throws HostError where this machine cannot, and
   * InvalidInputError for a passphrase that is missing or too short.
   */
  keep(key: Buffer, id: string, passphrase: Secret | undefined): Promise<string>;
  /** Throws HostError where it is not there, and InvalidInputError for a wrong passphrase. */
  fetch(kept: KeptKey, passphrase: Secret | undefined): Promise<Buffer>;
  /** What is gone already is no error. */
  forget(kept: KeptKey): Promise<void>;
  /** Words for people: where the key lies, and what that is worth. */
  place(note: string): string;
}

export function decodeKey(text: string, where: string): Buffer {
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length === KEY_BYTES) return key;
  throw new HostError(`${where} does not hold a key of this vault`, {
    hint: 'Put back what was there, or import an export of the vault into a new one.',
  });
}

/** Runs a program that may not be there. Throws HostError that names its package then. */
export async function runOf<T>(runner: CommandRunner, command: Command<T>, packageName: string): Promise<T> {
  try {
    return await runner.run(command);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new HostError(`The program "${command.file}" is not installed`, {
      hint: `Install the package ${packageName}, or choose another place for the vault's key.`,
      cause: error,
    });
  }
}
