import path from 'node:path';
import { InvalidInputError } from '../../runtime/core/errors.ts';
import { readPersonalFile } from '../../runtime/core/files.ts';
import { KeySource } from '../../runtime/vault/contract.ts';
import { control } from '../control/control-protocol.ts';
import {
  type CredentialUseRecord,
  MAX_EXPORT_CHARS,
  type VaultStatusRecord,
} from '../control/vault-methods.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';
import { writeExport } from './export-file-store.ts';
import { forgetCredential } from './forget-credential.ts';
import type { Output } from './output.ts';
import { readPassphrase } from './secret-prompt.ts';

const status: Command = {
  usage: 'vault status [--json]',
  summary: 'Say whether the vault is open, what opens it, and how much is in it.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { json: { type: 'boolean' } });
    const found = await withDaemon(async (client) => await client.call(control.vaultStatus, {}));
    if (values.json === true) output.json(found);
    else show(output, found);
    return 0;
  },
};

const unlock: Command = {
  usage: 'vault unlock',
  summary: 'Open the vault; a passphrase is typed without being shown, or piped.',
  run: async (args, { host, withDaemon, output }) => {
    parseCommandArgs(args, {});
    return await withDaemon(async (client) => {
      const { state, keySource } = await client.call(control.vaultStatus, {});
      const isAsked = isPassphrase(keySource) && state === 'locked';
      const passphrase = isAsked
        ? await readPassphrase(host, (prompt) => output.note(prompt), {
            what: 'The passphrase',
            isNew: false,
          })
        : undefined;
      show(output, await client.call(control.vaultUnlock, { passphrase: passphrase?.reveal() }));
      return 0;
    });
  },
};

const lock: Command = {
  usage: 'vault lock',
  summary: 'Forget the key of the vault: running tasks get no credentials until it is unlocked.',
  run: async (args, { withDaemon, output }) => {
    parseCommandArgs(args, {});
    show(output, await withDaemon(async (client) => await client.call(control.vaultLock, {})));
    return 0;
  },
};

const list: Command = {
  usage: 'vault list [--json]',
  summary: 'List credentials, never a value, and what they were used for.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { json: { type: 'boolean' } });
    const { credentials } = await withDaemon(
      async (client) => await client.call(control.credentialsList, {}),
    );
    if (values.json === true) output.json(credentials);
    else if (credentials.length === 0)
      output.line('Nothing is stored yet. Log in, or give a key: terok-mcp auth <name>');
    else output.table(HEADER, credentials.map(toRow));
    for (const { provider, set, problem } of credentials)
      if (problem !== null) output.note(`✗ ${provider} (${set}): ${problem}`);
    return 0;
  },
};

const remove: Command = {
  usage: 'vault remove <name> [--set <project>]',
  summary: 'Forget a credential; tasks that use it are refused from now on.',
  run: async (args, context) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { set: { type: 'string' } },
      { names: ['<name>'] },
    );
    const [name = ''] = positionals;
    return await forgetCredential(context, { name, set: values.set });
  },
};

const key: Command = {
  usage: `vault key <${KeySource.options.join('|')}>`,
  summary: 'Choose what opens the vault. A new passphrase is typed twice without being shown, or piped.',
  run: async (args, { host, withDaemon, output }) => {
    const { positionals } = parseCommandArgs(args, {}, { names: ['<source>'] });
    const source = KeySource.safeParse(positionals[0]);
    if (!source.success) throw new UsageError(`the key comes from one of: ${KeySource.options.join(', ')}`);
    return await withDaemon(async (client) => {
      const passphrase = isPassphrase(source.data)
        ? await readPassphrase(host, (prompt) => output.note(prompt), {
            what: 'The new passphrase',
            isNew: true,
          })
        : undefined;
      const change = { source: source.data, passphrase: passphrase?.reveal() };
      show(output, await client.call(control.vaultChangeKey, change));
      return 0;
    });
  },
};

const rotate: Command = {
  usage: 'vault rotate',
  summary: 'Seal everything anew under a new data key.',
  run: async (args, { withDaemon, output }) => {
    parseCommandArgs(args, {});
    show(output, await withDaemon(async (client) => await client.call(control.vaultRotate, {})));
    return 0;
  },
};

const exportVault: Command = {
  usage: 'vault export [--output <file>]',
  summary: 'Write the whole vault, sealed under a passphrase of its own, to standard output or a new file.',
  run: async (args, { host, withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { output: { type: 'string', short: 'o' } });
    return await withDaemon(async (client) => {
      const passphrase = await readPassphrase(host, (prompt) => output.note(prompt), {
        what: 'A passphrase for the export',
        isNew: true,
      });
      const { text } = await client.call(control.vaultExport, { passphrase: passphrase.reveal() });
      if (values.output === undefined) {
        output.line(text.trimEnd());
        return 0;
      }
      const file = path.resolve(host.cwd, values.output);
      await writeExport(file, text);
      output.line(`Wrote ${file}, which only you can read.`);
      return 0;
    });
  },
};

const importVault: Command = {
  usage: 'vault import <file> [--overwrite]',
  summary: 'Add what an export holds. What is there already stays, unless --overwrite is given.',
  run: async (args, { host, withDaemon, output }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { overwrite: { type: 'boolean' } },
      { names: ['<file>'] },
    );
    const file = path.resolve(host.cwd, positionals[0] ?? '');
    const { text, problem } = await readPersonalFile(file, MAX_EXPORT_CHARS);
    if (text === undefined)
      throw new InvalidInputError(`${file} ${problem}`, { hint: 'Name a file that "vault export" wrote.' });
    return await withDaemon(async (client) => {
      const passphrase = await readPassphrase(host, (prompt) => output.note(prompt), {
        what: 'The passphrase of the export',
        isNew: false,
      });
      const { taken } = await client.call(control.vaultImport, {
        text,
        passphrase: passphrase.reveal(),
        overwrite: values.overwrite === true,
      });
      output.line(taken.length === 0 ? 'Nothing was new.' : `Took: ${taken.join(', ')}`);
      return 0;
    });
  },
};

export const vault: Readonly<Record<string, Command>> = {
  status,
  unlock,
  lock,
  list,
  remove,
  key,
  rotate,
  export: exportVault,
  import: importVault,
};

/** The kernel's keyring too: it forgets when the machine stops, and a passphrase opens the vault then. */
const isPassphrase = (source: KeySource): boolean => source === 'passphrase' || source === 'keyring';

function show(output: Output, record: VaultStatusRecord): void {
  const { state, keyPlace, lockedBecause, credentials, sshKeys } = record;
  output.line(`The vault is ${state}. Credentials: ${credentials}. SSH keys: ${sshKeys}.`);
  output.line(`Its key: ${keyPlace}`);
  if (lockedBecause !== null) output.line(lockedBecause);
}

const HEADER = ['NAME', 'SET', 'KIND', 'EXPIRES', 'REQUESTS', 'TOKENS', 'COST', 'LAST USED'];

function toRow(record: CredentialUseRecord): readonly string[] {
  const { provider, set, kind, expiresAt, requests, inputTokens, outputTokens, costUsd } = record;
  return [
    provider,
    set,
    kind,
    expiresAt ?? '-',
    String(requests),
    `${inputTokens}+${outputTokens}`,
    `$${costUsd.toFixed(2)}`,
    record.lastUsedAt ?? 'never',
  ];
}
