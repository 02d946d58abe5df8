import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../src/runtime/core/clock.ts';
import type { CommandRunner } from '../../src/runtime/core/command.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { SealedStore } from '../../src/runtime/vault/store/sealed-store.ts';
import { runner } from './host.ts';

/** A quarter of what the product asks for, and the least that it takes. */
export const CHEAPEST_SCRYPT = 2 ** 15;

/** A state directory with a vault of its own. Each `open` is a start of the daemon; the one before is closed first. */
export class VaultPlace implements AsyncDisposable {
  readonly directory: string;
  readonly file: string;
  #store: SealedStore | undefined;

  private constructor(directory: string) {
    this.directory = directory;
    this.file = path.join(directory, 'vault.db');
  }

  static async make(): Promise<VaultPlace> {
    return new VaultPlace(await mkdtemp('/tmp/vault-'));
  }

  async open(
    options: {
      readonly runner?: CommandRunner;
      readonly step?: ConstructorParameters<typeof SealedStore>[0]['step'];
      /** Given as undefined, that of the product. */
      readonly scryptCost?: number | undefined;
    } = {},
  ): Promise<SealedStore> {
    await this.close();
    const { file, directory } = this;
    this.#store = new SealedStore({
      file,
      directory,
      runner,
      clock: systemClock,
      log: silentLogger,
      scryptCost: CHEAPEST_SCRYPT,
      ...options,
    });
    await this.#store.start();
    return this.#store;
  }

  async close(): Promise<void> {
    await this.#store?.close();
    this.#store = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}
