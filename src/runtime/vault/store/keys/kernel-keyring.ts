import { asExitCode, asText, type Command, type CommandRunner } from '../../../core/command.ts';
import { CommandError, HostError, InvalidInputError } from '../../../core/errors.ts';
import type { Secret } from '../../../core/secret.ts';
import { decodeKey, type KeptKey, type KeyKeeper, runOf } from './kept-key.ts';
import { PassphraseKey } from './passphrase-key.ts';

const PACKAGE = 'keyutils';
const RING = '@u';

/**
 * The user's keyring of the kernel (keyrings(7), keyctl(1)), which forgets when the machine stops. So the key is kept
 * under a passphrase too, which puts it back: without that, each restart of the machine would lose the vault.
 */
export class KernelKeyring implements KeyKeeper {
  readonly #runner: CommandRunner;
  readonly #recovery: PassphraseKey;

  constructor(deps: { readonly runner: CommandRunner; readonly scryptCost: number }) {
    this.#runner = deps.runner;
    this.#recovery = new PassphraseKey(deps);
  }

  async keep(key: Buffer, id: string, passphrase: Secret | undefined): Promise<string> {
    if (passphrase === undefined) {
      throw new InvalidInputError('The kernel forgets its keyring when the machine stops', {
        hint: 'Give a passphrase as well: "terok-mcp vault unlock" asks for it once after each restart of the machine.',
      });
    }
    const note = await this.#recovery.keep(key, id, passphrase);
    await this.#add(key, id);
    return note;
  }

  async fetch(kept: KeptKey, passphrase: Secret | undefined): Promise<Buffer> {
    if (passphrase !== undefined) {
      const key = await this.#recovery.fetch(kept, passphrase);
      await this.#add(key, kept.id);
      return key;
    }
    const serial = await this.#find(kept.id);
    if (serial === undefined) {
      throw new HostError(
        'The kernel does not hold the vault’s key: it forgets at each stop of the machine',
        {
          hint: 'Run "terok-mcp vault unlock", and give the passphrase that was chosen with the keyring.',
        },
      );
    }
    return decodeKey(await this.#keyctl(['pipe', serial], asText), 'The keyring of the kernel');
  }

  async forget({ id }: KeptKey): Promise<void> {
    const serial = await this.#find(id);
    if (serial !== undefined) await this.#keyctl(['unlink', serial, RING], asText);
  }

  place(): string {
    return 'in the keyring of the kernel until the machine stops, then a passphrase opens the vault once; every program of yours can ask the kernel for it';
  }

  async #add(key: Buffer, id: string): Promise<void> {
    await this.#keyctl(['padd', 'user', describe(id), RING], asText, key.toString('base64'));
    if ((await this.#find(id)) !== undefined) return;
    throw new HostError('The kernel did not keep the vault’s key', {
      hint: 'Its keyring may not be reachable from this session; choose another place for the key.',
    });
  }

  async #find(id: string): Promise<string | undefined> {
    // A session of its own possesses the user's keyring only through a link; where there is one, this changes nothing.
    await this.#keyctl(['link', RING, '@s'], asExitCode);
    const found = await this.#keyctl(['search', RING, 'user', describe(id)], (output) => output);
    if (found.exitCode === 0) return found.stdout.trim();
    if (/not available|revoked|expired/i.test(found.stderr)) return undefined;
    throw new CommandError('The keyring of the kernel cannot be searched', {
      hint: 'Containers and some sandboxes forbid it; choose another place for the vault’s key.',
    });
  }

  async #keyctl<T>(args: readonly string[], parse: Command<T>['parse'], input?: string): Promise<T> {
    const okCodes = args[0] === 'search' || args[0] === 'link' ? [0, 1] : [0];
    return await runOf(this.#runner, { file: 'keyctl', args, input, okCodes, parse }, PACKAGE);
  }
}

const describe = (id: string): string => `terok-vault-${id}`;
