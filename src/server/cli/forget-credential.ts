import { control } from '../control/control-protocol.ts';
import type { CommandContext } from './command.ts';

/** Removes a credential from the vault, and says so. Exit code 1 where there was none: the name may be a typing error. */
export async function forgetCredential(
  { withDaemon, output }: Pick<CommandContext, 'withDaemon' | 'output'>,
  which: { readonly name: string; readonly set: string | undefined },
): Promise<0 | 1> {
  const { wasStored } = await withDaemon(
    async (client) => await client.call(control.credentialsRemove, which),
  );
  const whose = which.set === undefined ? which.name : `${which.name} for ${which.set}`;
  output.line(
    wasStored
      ? `The credential of ${whose} is forgotten here. Its vendor still takes it until you revoke it there.`
      : `There was no credential of ${whose}.`,
  );
  return wasStored ? 0 : 1;
}
