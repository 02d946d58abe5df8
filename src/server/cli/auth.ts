import type { z } from 'zod';
import { control } from '../control/control-protocol.ts';
import type { CredentialRecord } from '../control/vault-methods.ts';
import { type Command, type CommandContext, parseCommandArgs, UsageError } from './command.ts';
import { forgetCredential } from './forget-credential.ts';
import { readLine } from './line-prompt.ts';
import { readSecret } from './secret-prompt.ts';
import { vendorLogin } from './vendor-login.ts';

type Ways = z.output<typeof control.credentialsCheck.result>;

export const auth: Command = {
  usage: 'auth <name> [--api-key | --login | --remove] [--set <project>]',
  summary:
    "Keep the credential of an agent or tool in the vault: an API key or access token, from standard input or typed without being shown, or what a login by the vendor's own program gives; or forget it. With --set, for one project alone.",
  run: async (args, context) => {
    const { values, positionals } = parseCommandArgs(
      args,
      {
        'api-key': { type: 'boolean' },
        login: { type: 'boolean' },
        remove: { type: 'boolean' },
        set: { type: 'string' },
      },
      { names: ['<name>'], optional: ['<never>'] },
    );
    const [name = '', key] = positionals;
    // Not repeated: it may be the key, which by now is in the list of processes and the history of a shell.
    if (key !== undefined)
      throw new UsageError('a key is never an argument, which everybody can read: type or pipe it');
    const asked = (['api-key', 'login', 'remove'] as const).filter((way) => values[way] === true);
    if (asked.length > 1) throw new UsageError(`--${asked.join(' and --')} do not go together`);
    const [way] = asked;
    const { set } = values;
    if (way === 'remove') return await forgetCredential(context, { name, set });
    // Before anybody types a key for something that takes none.
    const ways = await context.withDaemon(
      async (client) => await client.call(control.credentialsCheck, { name }),
    );
    const stored =
      (way ?? (await chooseWay(ways, context))) === 'login'
        ? await vendorLogin(context, { name, set })
        : await storeKey(context, { name, set, ways });
    show(context, stored);
    return 0;
  },
};

/** What is piped in is a key; only a person at a terminal can be asked. */
async function chooseWay(
  { title, takesKey, hasLogin }: Ways,
  { host }: CommandContext,
): Promise<'login' | 'api-key'> {
  if (!hasLogin) return 'api-key';
  if (!takesKey) return 'login';
  if (!host.isInteractive) return 'api-key';
  const answer = await readLine(host, () => {
    host.stderr.write(`  1  log in to ${title} with its own program\n`);
    host.stderr.write('  2  keep an API key or access token\n1 or 2 [1]: ');
  });
  if (answer !== '' && answer !== '1' && answer !== '2') throw new UsageError('the answer is 1 or 2');
  return answer === '2' ? 'api-key' : 'login';
}

async function storeKey(
  { host, output, withDaemon }: CommandContext,
  { name, set, ways }: { readonly name: string; readonly set: string | undefined; readonly ways: Ways },
): Promise<CredentialRecord> {
  if (!ways.takesKey) throw new UsageError(`${ways.title} takes no key: log in, with --login`);
  if (host.isInteractive && ways.hint !== null) output.note(`You get one at ${ways.hint}`);
  const secret = await readSecret(host, (prompt) => output.note(prompt), `The API key of ${name}`);
  return await withDaemon(
    async (client) => await client.call(control.credentialsStore, { name, set, key: secret.reveal() }),
  );
}

const KINDS = {
  oauth: 'login',
  api_key: 'API key',
  oauth_token: 'access token',
  pat: 'personal access token',
} as const;

function show({ output }: CommandContext, { provider, kind, set, expiresAt }: CredentialRecord): void {
  const whose = set === 'default' ? 'all projects' : `project ${set}`;
  const end =
    expiresAt === null ? '' : `; its token ends at ${expiresAt}, and is renewed where the vendor does that`;
  output.line(`Kept in the vault: the ${KINDS[kind]} of ${provider}, for ${whose}${end}.`);
  output.line('Tasks use it through their proxy and never see it.');
}
