import { z } from 'zod';

/** What exactly a promotion would push where: the subject of its approval. */
export const PromotionSubject = z.strictObject({ branch: z.string(), head: z.string(), target: z.string() });
export type PromotionSubject = z.infer<typeof PromotionSubject>;

/** Always the same text for the same promotion. */
export function renderSubject({ branch, head, target }: PromotionSubject): string {
  return JSON.stringify({ branch, head, target });
}

/** Undefined for what this release did not write. */
export function readSubject(text: string): PromotionSubject | undefined {
  try {
    return PromotionSubject.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
