import { control } from '../control/control-protocol.ts';
import type { SshKeyRecord } from '../control/ssh-methods.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';
import { isConfirmed } from './confirm.ts';
import type { Output } from './output.ts';

const ORIGINS = {
  generated: 'made now',
  existing: 'there already; --rotate makes a new one',
  imported: 'imported',
} as const;

export const sshInit: Command = {
  usage: 'project ssh-init <project> [--type ed25519|rsa] [--rotate] [--comment <text>]',
  summary:
    "Make the project's SSH key (or show the one there is, or import that of an earlier release). Its private part stays in the vault.",
  run: async (args, { withDaemon, output }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { type: { type: 'string' }, rotate: { type: 'boolean' }, comment: { type: 'string' } },
      { names: ['<project>'] },
    );
    const [project = ''] = positionals;
    const type = values.type ?? 'ed25519';
    if (type !== 'ed25519' && type !== 'rsa') throw new UsageError('--type is ed25519 or rsa');
    const { origin, importedFrom, destinations, ...key } = await withDaemon(
      async (client) =>
        await client.call(control.sshInit, {
          project,
          type,
          rotate: values.rotate ?? false,
          comment: values.comment,
        }),
    );
    show(output, key);
    output.line(`  origin       ${ORIGINS[origin]}`);
    if (importedFrom !== null) {
      output.line(
        `The key of ${importedFrom} is in the vault now. Nothing reads that file any more: remove it.`,
      );
    }
    if (values.type !== undefined && values.type !== key.type) {
      output.note(
        `The key there is of type ${key.type}: --rotate replaces it by one of type ${values.type}.`,
      );
    }
    if (values.rotate === true) output.line('Hosts that know the former key have to be told this one.');
    output.line('');
    output.line('What is to be done next:');
    output.line(
      '  1. Add the public key where tasks are to log in (a deploy key, or a line of authorized_keys).',
    );
    output.line(`  2. terok-mcp project ssh-host ${key.project} <user@host[:port]>`);
    output.line(
      destinations.length === 0
        ? '  3. List it in project.yml under ssh.destinations: until then nothing is signed.'
        : `  3. project.yml lists under ssh.destinations: ${destinations.join(', ')}`,
    );
    return 0;
  },
};

export const sshKey: Command = {
  usage: 'project ssh-key <project> [--remove]',
  summary: "Show the project's public SSH key, or remove the key for good.",
  run: async (args, { withDaemon, output }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { remove: { type: 'boolean' } },
      { names: ['<project>'] },
    );
    const [project = ''] = positionals;
    if (values.remove === true) {
      const { wasStored } = await withDaemon(
        async (client) => await client.call(control.sshRemove, { project }),
      );
      output.line(wasStored ? `The SSH key of ${project} is removed.` : `${project} had no SSH key.`);
      return wasStored ? 0 : 1;
    }
    const { key } = await withDaemon(async (client) => await client.call(control.sshKey, { project }));
    if (key === null) {
      output.line(`${project} has no SSH key. Make one: terok-mcp project ssh-init ${project}`);
      return 1;
    }
    show(output, key);
    return 0;
  },
};

export const sshHost: Command = {
  usage: 'project ssh-host <project> <user@host[:port]> [--yes]',
  summary: "Ask a host for its keys, show them, and on your word add them to the project's known_hosts.",
  run: async (args, { host, withDaemon, output }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { yes: { type: 'boolean', short: 'y' } },
      { names: ['<project>', '<user@host[:port]>'] },
    );
    const [project = '', destination = ''] = positionals;
    return await withDaemon(async (client) => {
      const { file, projectFile, isListed, keys } = await client.call(control.sshScan, {
        project,
        destination,
      });
      output.table(
        ['KEY', 'FINGERPRINT', 'KNOWN'],
        keys.map(({ type, fingerprint, isKnown }) => [type, fingerprint, isKnown ? 'yes' : 'no']),
      );
      const added = keys.filter(({ isKnown }) => !isKnown);
      if (added.length > 0) {
        output.line(
          'Compare them with what the people of that host publish: the network is not to be trusted here.',
        );
        if (values.yes !== true) {
          if (!host.isInteractive)
            throw new UsageError('this is no terminal to ask on; add --yes to trust them');
          if (!(await isConfirmed(host, `Add ${added.length} to ${file}?`))) {
            output.line('Nothing was added.');
            return 1;
          }
        }
        const lines = added.map(({ line }) => line);
        await client.call(control.sshTrust, { project, destination, lines });
        output.line(`Added to ${file}.`);
      }
      if (!isListed) {
        output.line(`Tasks may log in there once ${projectFile} has:`);
        output.line('  ssh:');
        output.line('    destinations:');
        output.line(`      - "${destination}"`);
      }
      return 0;
    });
  },
};

function show(output: Output, { type, fingerprint, publicKey, createdAt }: SshKeyRecord): void {
  output.line(publicKey);
  output.line(`  type         ${type}`);
  output.line(`  fingerprint  ${fingerprint}`);
  output.line(`  stored       ${createdAt}`);
}
