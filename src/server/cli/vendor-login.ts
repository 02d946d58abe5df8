import { CancelledError } from '../../runtime/core/errors.ts';
import { control } from '../control/control-protocol.ts';
import type { CredentialRecord } from '../control/vault-methods.ts';
import { attachToContainer } from './attach.ts';
import { type CommandContext, UsageError } from './command.ts';

/**
 * A login by the vendor's own program, on this terminal. Whatever ends it, a closed window included, its container and
 * what lay in it are gone afterwards.
 */
export async function vendorLogin(
  context: CommandContext,
  login: { readonly name: string; readonly set: string | undefined },
): Promise<CredentialRecord> {
  const { host, output, withDaemon } = context;
  if (!host.isInteractive) throw new UsageError('a login needs a terminal; an API key can be piped in');
  const interrupted = new AbortController();
  host.onSignal(() => interrupted.abort());
  const { signal } = interrupted;
  output.note('· Preparing a container for this login; the first time that takes a while');
  const { container, hint } = await withDaemon(
    async (client) => await client.call(control.credentialsBeginLogin, login, { signal }),
  );
  const cancel = async (): Promise<void> => {
    await withDaemon(async (client) => await client.call(control.credentialsCancelLogin, { container }));
  };
  let cancelled: Promise<void> | undefined;
  const onInterrupt = (): void => {
    // Podman's attachment ends with its container.
    cancelled ??= cancel();
    cancelled.catch(() => undefined);
  };
  signal.addEventListener('abort', onInterrupt, { once: true });
  if (signal.aborted) onInterrupt();
  try {
    if (hint !== null) output.note(hint);
    await attachToContainer(context, container, { detachKeys: '' });
    if (cancelled === undefined) {
      return await withDaemon(
        async (client) => await client.call(control.credentialsFinishLogin, { container }),
      );
    }
  } catch (error) {
    await cancel().catch(() => undefined);
    throw error;
  }
  await cancelled;
  throw new CancelledError('The login was given up', { hint: 'Nothing was kept.' });
}
