import { geteuid } from 'node:process';
import { asText, type CommandRunner } from '../../../core/command.ts';
import { HostError } from '../../../core/errors.ts';
import { decodeKey, type KeptKey, type KeyKeeper, runOf } from './kept-key.ts';

const PACKAGE = 'systemd';
const USER_SINCE = 256;

/** Sealed by systemd (systemd-creds(1)) for this machine: by its TPM, and the key in /var/lib/systemd that root reads. */
export class SystemdCredential implements KeyKeeper {
  readonly #runner: CommandRunner;

  constructor(deps: { readonly runner: CommandRunner }) {
    this.#runner = deps.runner;
  }

  async keep(key: Buffer, id: string): Promise<string> {
    return await this.#run('encrypt', id, key.toString('base64'));
  }

  async fetch({ id, note }: KeptKey): Promise<Buffer> {
    return decodeKey(await this.#run('decrypt', id, note), 'The credential of systemd');
  }

  async forget(): Promise<void> {}

  place(): string {
    return 'sealed by systemd for this machine (its TPM where there is one): vault.db is worth nothing elsewhere, but programs of yours can ask systemd to open it';
  }

  async #run(verb: 'encrypt' | 'decrypt', id: string, input: string): Promise<string> {
    const scope = isRoot() ? [] : await this.#userScope();
    const args = [verb, ...scope, `--name=terok-vault-${id}`, '-', '-'];
    return await runOf(this.#runner, { file: 'systemd-creds', args, input, parse: asText }, PACKAGE);
  }

  async #userScope(): Promise<readonly string[]> {
    const args = ['--version'];
    const text = await runOf(this.#runner, { file: 'systemd-creds', args, parse: asText }, PACKAGE);
    const version = Number(/^systemd (\d+)/.exec(text)?.[1] ?? 0);
    if (version >= USER_SINCE) return ['--user'];
    throw new HostError(`systemd ${version} seals credentials for root alone`, {
      hint: `Users may from systemd ${USER_SINCE} on; choose another place for the vault's key.`,
    });
  }
}

const isRoot = (): boolean => geteuid?.() === 0;
