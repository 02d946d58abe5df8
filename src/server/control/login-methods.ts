import { z } from 'zod';
import { method, nullable } from './control-method.ts';
import { credential } from './vault-methods.ts';

const byContainer = z.strictObject({ container: z.string().min(1).max(200) });

/** A login by a vendor's own program: begun, attached to by the person, and then taken in or given up. */
export const loginMethods = {
  credentialsBeginLogin: method(
    'credentials.beginLogin',
    z.strictObject({ name: z.string().min(1).max(100), set: z.string().min(1).max(100).optional() }),
    z.object({ provider: z.string(), container: z.string(), hint: nullable(z.string()) }),
  ),
  credentialsFinishLogin: method('credentials.finishLogin', byContainer, credential),
  credentialsCancelLogin: method('credentials.cancelLogin', byContainer, z.object({})),
} as const;
