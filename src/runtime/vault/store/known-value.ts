import type { z } from 'zod';
import { HostError } from '../../core/errors.ts';

/** What stands in the open in vault.db, which somebody may have edited. Throws HostError for what we never wrote. */
export function knownValue<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new HostError(`vault.db was changed from outside, or is damaged: its ${what} is none of ours`, {
    hint: 'Restore it from a backup, or move it aside and store the credentials again.',
  });
}
