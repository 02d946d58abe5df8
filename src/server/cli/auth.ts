import path from 'node:path';
import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';
import { readSecret } from './secret-prompt.ts';

export const auth: Command = {
  usage: 'auth <name> [--remove]',
  summary:
    'Keep the API key of an agent or tool, from standard input or typed without being shown, in a file of this machine that only you can read; or forget it.',
  run: async (args, { host, output, paths, withDaemon }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { remove: { type: 'boolean' } },
      { names: ['<name>'], optional: ['<never>'] },
    );
    const [name = '', key] = positionals;
    // Not repeated: it may be the key, which by now is in the list of processes and the history of a shell.
    if (key !== undefined)
      throw new UsageError('a key is never an argument, which everybody can read: type or pipe it');
    if (values.remove === true) {
      const { wasStored } = await withDaemon(
        async (client) => await client.call(control.credentialsRemove, { name }),
      );
      output.line(wasStored ? `The key of ${name} is forgotten.` : `There was no key of ${name}.`);
      return 0;
    }
    return await withDaemon(async (client) => {
      // Before anybody types a key for something that takes none.
      const { isUsed } = await client.call(control.credentialsCheck, { name });
      const secret = await readSecret(host, (prompt) => output.note(prompt), `The API key of ${name}`);
      await client.call(control.credentialsStore, { name, key: secret.reveal() });
      output.line(
        `Kept in ${path.join(paths.state, 'credentials', `${name}.json`)}, a file of this machine that only you can read.`,
      );
      output.line(
        isUsed
          ? `"terok-mcp run-tool ${name}" hands it to that tool's own container, and nothing else gets it.`
          : 'Agents cannot use it yet: today only tools that run by themselves get their key.',
      );
      return 0;
    });
  },
};
