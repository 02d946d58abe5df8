import type { Command, CommandRunner } from '../../../core/command.ts';
import { HostError } from '../../../core/errors.ts';
import { cleanTail } from '../../../core/untrusted-text.ts';
import { decodeKey, type KeptKey, type KeyKeeper, runOf } from './kept-key.ts';

const PACKAGE = 'libsecret-tools';
/** The desktop may ask its person to open the keyring; nobody may be there. */
const PATIENCE_MS = 20_000;

/** The keyring of the desktop (the Secret Service, secret-tool(1)): open while its person is logged in. */
export class DesktopKeyring implements KeyKeeper {
  readonly #runner: CommandRunner;

  constructor(deps: { readonly runner: CommandRunner }) {
    this.#runner = deps.runner;
  }

  async keep(key: Buffer, id: string): Promise<string> {
    const label = '--label=terok-mcp vault';
    const stored = await this.#run(['store', label, ...attributes(id)], key.toString('base64'));
    if (stored.exitCode !== 0) throw unreachable(stored.stderr);
    const held = await this.fetch({ id });
    if (!held.equals(key)) throw unreachable('it gave back something else');
    held.fill(0);
    return '';
  }

  async fetch({ id }: Pick<KeptKey, 'id'>): Promise<Buffer> {
    const found = await this.#run(['lookup', ...attributes(id)]);
    if (found.exitCode === 0) return decodeKey(found.stdout, 'The keyring of the desktop');
    if (found.stderr !== '') throw unreachable(found.stderr);
    throw new HostError('The keyring of the desktop does not hold the vault’s key', {
      hint: 'Open the keyring it was stored in, then run "terok-mcp vault unlock". If it was removed, import an export into a new vault.',
    });
  }

  async forget({ id }: KeptKey): Promise<void> {
    const cleared = await this.#run(['clear', ...attributes(id)]);
    // Says 1 as well for what was not there.
    if (cleared.exitCode !== 0 && cleared.stderr !== '') throw unreachable(cleared.stderr);
  }

  place(): string {
    return 'in the keyring of the desktop, while you are logged in there; every program of your session can ask for it';
  }

  async #run(args: readonly string[], input?: string) {
    const command: Command<{ stdout: string; stderr: string; exitCode: number }> = {
      file: 'secret-tool',
      args,
      input,
      okCodes: [0, 1],
      timeoutMs: PATIENCE_MS,
      parse: (output) => output,
    };
    return await runOf(this.#runner, command, PACKAGE);
  }
}

const attributes = (id: string): readonly string[] => ['service', 'terok-mcp', 'vault', id];

const unreachable = (said: string): HostError =>
  new HostError('The keyring of the desktop cannot be reached', {
    hint: 'It needs a desktop session (DBUS_SESSION_BUS_ADDRESS) and a keyring that is open. After logging in, run "terok-mcp vault unlock".',
    details: cleanTail(said),
  });
