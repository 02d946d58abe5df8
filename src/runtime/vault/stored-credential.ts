import { z } from 'zod';

/** One line of visible characters: anything else was pasted by mistake, and could not be put into a header. */
export const SecretText = z
  .string()
  .min(1)
  .max(16_384)
  .regex(/^[\u0021-\u007e]+$/);

/** A credential as it is sealed. Times are seconds since 1970. */
export const StoredCredential = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('oauth'),
    access_token: SecretText,
    /** Empty where it cannot be renewed. */
    refresh_token: z.union([SecretText, z.literal('')]).default(''),
    expires_at: z.number().nullable().default(null),
    /** Whatever else the login told, like `scopes`, `account_id` or `subscription_type`. */
    facts: z.record(z.string(), z.json()).default({}),
  }),
  z.strictObject({ kind: z.literal('api_key'), key: SecretText }),
  z.strictObject({
    kind: z.literal('oauth_token'),
    token: SecretText,
    host: z.string().nullable().default(null),
  }),
  z.strictObject({ kind: z.literal('pat'), token: SecretText, host: z.string().nullable().default(null) }),
]);
export type StoredCredential = z.infer<typeof StoredCredential>;
export type OAuthCredential = Extract<StoredCredential, { kind: 'oauth' }>;

/** What goes into the header. */
export function headerValueOf(credential: StoredCredential): string {
  switch (credential.kind) {
    case 'oauth':
      return credential.access_token;
    case 'api_key':
      return credential.key;
    case 'oauth_token':
    case 'pat':
      return credential.token;
  }
}

/** Everything in it that must never be seen by a container. */
export const secretsOf = (credential: StoredCredential): readonly string[] =>
  credential.kind === 'oauth'
    ? [
        credential.access_token,
        credential.refresh_token,
        ...['id_token'].flatMap((name) => {
          const value = credential.facts[name];
          return typeof value === 'string' ? [value] : [];
        }),
      ].filter((text) => text !== '')
    : [headerValueOf(credential)];
