import { z } from 'zod';

/** One thing the daemon can be asked: what it takes and what it answers. */
export interface ControlMethod<P extends z.ZodType, R extends z.ZodType> {
  readonly name: string;
  readonly params: P;
  readonly result: R;
}

export function method<P extends z.ZodType, R extends z.ZodType>(
  name: string,
  params: P,
  result: R,
): ControlMethod<P, R> {
  return { name, params, result };
}

export const none = z.strictObject({});
export const nullable = <T extends z.ZodType>(schema: T) => schema.nullable();
export const id = z.string().max(100);
export const byId = z.strictObject({ id });
