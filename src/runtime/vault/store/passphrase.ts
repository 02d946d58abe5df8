import { randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { InvalidInputError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { type Binding, KEY_BYTES, seal, unseal } from './sealing.ts';

const MIN_CHARS = 8;
const MAX_CHARS = 1024;
const SALT_BYTES = 16;
const COSTS = [15, 16, 17, 18, 19, 20].map((exponent) => 2 ** exponent);
/** 128 MiB and some tenths of a second a guess. */
export const SCRYPT_COST = 2 ** 17;

/** A value under a passphrase. The bounds keep text from outside from asking for all memory, or for a cheap guess. */
export const PassphraseSealed = z.strictObject({
  kdf: z.literal('scrypt'),
  N: z.literal(COSTS),
  r: z.literal(8),
  p: z.int().min(1).max(4),
  salt: z.base64().length(24),
  sealed: z.base64(),
});
export type PassphraseSealed = z.infer<typeof PassphraseSealed>;
type Parameters = Omit<PassphraseSealed, 'sealed'>;

/** scrypt (RFC 7914) with N = `cost`, r = 8, p = 1. Throws InvalidInputError for a short passphrase. */
export async function sealUnderPassphrase(
  passphrase: Secret,
  plain: Uint8Array | string,
  { binding, cost }: { readonly binding: Binding; readonly cost: number },
): Promise<PassphraseSealed> {
  const { length } = passphrase.reveal();
  if (length < MIN_CHARS || length > MAX_CHARS) {
    throw new InvalidInputError(`A passphrase has ${MIN_CHARS} to ${MAX_CHARS} characters`, {
      hint: 'Several words that nobody would put together are easier to keep than signs.',
    });
  }
  const parameters: Parameters = {
    kdf: 'scrypt',
    N: cost,
    r: 8,
    p: 1,
    salt: randomBytes(SALT_BYTES).toString('base64'),
  };
  const key = await derive(passphrase, parameters);
  try {
    return { ...parameters, sealed: seal(key, plain, bindingOf(binding, parameters)).toString('base64') };
  } finally {
    key.fill(0);
  }
}

/** Undefined for a wrong passphrase or a changed value. The work is the same for each. */
export async function openUnderPassphrase(
  passphrase: Secret,
  value: PassphraseSealed,
  binding: Binding,
): Promise<Buffer | undefined> {
  const key = await derive(passphrase, value);
  try {
    return unseal(key, Buffer.from(value.sealed, 'base64'), bindingOf(binding, value));
  } finally {
    key.fill(0);
  }
}

const bindingOf = (binding: Binding, { kdf, N, r, p, salt }: Parameters): Binding => [
  ...binding,
  kdf,
  N,
  r,
  p,
  salt,
];

const scryptAsync = promisify<
  string,
  Buffer,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scrypt);

/** Normalised, so that one keyboard's accent is another's. */
async function derive(passphrase: Secret, { N, r, p, salt }: Parameters): Promise<Buffer> {
  const maxmem = 128 * r * (N + p + 2) + 1024 * 1024;
  return await scryptAsync(passphrase.reveal().normalize('NFKC'), Buffer.from(salt, 'base64'), KEY_BYTES, {
    N,
    r,
    p,
    maxmem,
  });
}
