import { HostError, InvalidInputError } from '../../../core/errors.ts';
import type { Secret } from '../../../core/secret.ts';
import { openUnderPassphrase, PassphraseSealed, sealUnderPassphrase } from '../passphrase.ts';
import type { Binding } from '../sealing.ts';
import type { KeptKey, KeyKeeper } from './kept-key.ts';

const BINDING: Binding = ['terok-vault-1', 'key'];

/** Sealed under a passphrase that only a person knows. */
export class PassphraseKey implements KeyKeeper {
  readonly #cost: number;

  constructor(deps: { readonly scryptCost: number }) {
    this.#cost = deps.scryptCost;
  }

  async keep(key: Buffer, _id: string, passphrase: Secret | undefined): Promise<string> {
    if (passphrase === undefined) {
      throw new InvalidInputError('A passphrase is needed', {
        hint: 'Give the one that shall open the vault from now on.',
      });
    }
    return JSON.stringify(await sealUnderPassphrase(passphrase, key, { binding: BINDING, cost: this.#cost }));
  }

  async fetch({ note }: Pick<KeptKey, 'note'>, passphrase: Secret | undefined): Promise<Buffer> {
    if (passphrase === undefined) {
      throw new HostError('The vault opens with its passphrase alone', {
        hint: 'Run "terok-mcp vault unlock"',
      });
    }
    const sealed = PassphraseSealed.safeParse(parseJson(note));
    if (!sealed.success) {
      throw new HostError('What vault.db says of its passphrase was changed or is damaged', {
        hint: 'Restore vault.db from a backup.',
      });
    }
    const key = await openUnderPassphrase(passphrase, sealed.data, BINDING);
    if (key !== undefined) return key;
    throw new InvalidInputError('This passphrase does not open the vault', {
      hint: 'Try again. There is no other way in: without it, move vault.db aside and store the credentials again.',
    });
  }

  async forget(): Promise<void> {}

  place(): string {
    return 'under a passphrase, in memory alone while the vault is open: after each start of the daemon a person unlocks it';
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
