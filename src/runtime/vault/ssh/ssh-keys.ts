import { geteuid } from 'node:process';
import type { Clock } from '../../core/clock.ts';
import { InvalidInputError } from '../../core/errors.ts';
import { KeyedMutex } from '../../core/keyed-mutex.ts';
import { cleanLine } from '../../core/untrusted-text.ts';
import type { SshKeyInfo } from '../contract.ts';
import type { CredentialStore } from '../parts.ts';
import { loadLegacyKey } from './legacy-key-loader.ts';
import {
  describeKey,
  generateSshKey,
  type KeyPair,
  parsePrivateKey,
  type SshKeyType,
} from './private-key.ts';

const MAX_COMMENT = 200;

export interface SshKeyAnswer extends SshKeyInfo {
  readonly origin: 'generated' | 'existing' | 'imported';
  /** The file it was imported from, which is left as it is. */
  readonly importedFrom?: string | undefined;
}

/** One SSH key a project. The private part is in the vault alone. */
export class SshKeys {
  readonly #store: CredentialStore;
  readonly #legacyDirectory: string;
  readonly #clock: Clock;
  readonly #mutex = new KeyedMutex();

  constructor(deps: {
    readonly store: CredentialStore;
    /** Where earlier releases kept key files: `<directory>/<project>/id_ed25519`. */
    readonly legacyDirectory: string;
    readonly clock: Clock;
  }) {
    this.#store = deps.store;
    this.#legacyDirectory = deps.legacyDirectory;
    this.#clock = deps.clock;
  }

  /**
   * The project's key: the one there is, else that of an earlier release's file, else a new one; with `rotate` always a
   * new one, which takes the place of the old. Throws InvalidInputError for a key file that cannot be taken, HostError
   * while the vault is locked and one would have to be stored.
   */
  async init(
    project: string,
    options: { readonly type: SshKeyType; readonly rotate: boolean; readonly comment?: string | undefined },
  ): Promise<SshKeyAnswer> {
    const comment = checkComment(options.comment ?? `terok-mcp ${project}`);
    return await this.#mutex.run(project, async () => {
      if (!options.rotate) {
        const existing = this.find(project);
        if (existing !== undefined) return { ...existing, origin: 'existing' };
        const imported = await this.#import(project, options.comment);
        if (imported !== undefined) return imported;
      }
      const pair = await generateSshKey(options.type);
      return { ...this.#keep(project, pair, comment), origin: 'generated' };
    });
  }

  list(): readonly SshKeyInfo[] {
    return this.#store.sshKeys();
  }

  find(project: string): SshKeyInfo | undefined {
    return this.list().find((key) => key.project === project);
  }

  /** Says whether there was one. */
  async remove(project: string): Promise<boolean> {
    return await this.#mutex.run(project, async () => this.#store.removeSshKey(project));
  }

  async #import(project: string, comment: string | undefined): Promise<SshKeyAnswer | undefined> {
    const legacy = await loadLegacyKey(this.#legacyDirectory, project, geteuid?.() ?? 0);
    if (legacy === undefined) return undefined;
    const pair = parsePrivateKey(legacy.text, legacy.file);
    const info = this.#keep(project, pair, comment ?? pair.comment);
    return { ...info, origin: 'imported', importedFrom: legacy.file };
  }

  #keep(project: string, pair: KeyPair, comment: string): SshKeyInfo {
    const info = describeKey(project, pair, { comment, createdAt: this.#clock.now().toISOString() });
    this.#store.putSshKey(info, pair.privateKey);
    return info;
  }
}

function checkComment(comment: string): string {
  if (cleanLine(comment, MAX_COMMENT) === comment) return comment;
  throw new InvalidInputError('This comment cannot stand beside a key', {
    hint: `Use one line of at most ${MAX_COMMENT} visible characters.`,
  });
}
