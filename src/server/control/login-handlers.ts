import { CancelledError } from '../../runtime/core/errors.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { loginMethods } from './login-methods.ts';
import type { Register } from './task-handlers.ts';
import { toCredentialRecord } from './vault-handlers.ts';

/** A terminal that goes away while its container is made has given the login up. */
export function registerLogins(on: Register, { vault }: Pick<Runtime, 'vault'>): void {
  on(loginMethods.credentialsBeginLogin, async ({ name, set }, signal) => {
    const { provider, container, hint } = await vault.beginLogin(name, { set });
    if (signal.aborted) {
      // Nobody is left who would attach to it.
      await vault.cancelLogin(container);
      throw new CancelledError('The login was given up');
    }
    return { provider, container, hint: hint ?? null };
  });
  on(loginMethods.credentialsFinishLogin, async ({ container }) =>
    toCredentialRecord(await vault.finishLogin(container)),
  );
  on(loginMethods.credentialsCancelLogin, async ({ container }) => {
    await vault.cancelLogin(container);
    return {};
  });
}
