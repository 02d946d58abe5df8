import { z } from 'zod';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import type { BuildResult } from '../../runtime/images/contract.ts';

/** What a build came to, for clients and for the command line. */
export const BuildView = z.strictObject({
  task_image: z.string().describe('What tasks run on.'),
  built: z.array(z.string()).describe('Images built now; empty: all were up to date.'),
  dev_image: z.string().optional().describe('For debugging by hand.'),
  sidecar_image: z.string().optional().describe('For tools with a real credential.'),
  installed: z
    .array(z.strictObject({ name: z.string(), version: z.string() }))
    .describe('Agents and tools in the image.'),
  skipped: z
    .array(z.strictObject({ name: z.string(), reason: z.string() }))
    .describe('Not in the image, and why.'),
});
export type BuildView = z.infer<typeof BuildView>;

export function toBuildView(result: BuildResult): BuildView {
  const { installed, skipped } = result.inventory;
  return {
    task_image: cleanLine(result.task),
    built: result.built.map((tag) => cleanLine(tag)),
    ...(result.dev === undefined ? {} : { dev_image: cleanLine(result.dev) }),
    ...(result.sidecar === undefined ? {} : { sidecar_image: cleanLine(result.sidecar) }),
    installed: installed.map(({ name, version }) => ({ name, version: cleanLine(version, 80) })),
    skipped: skipped.map(({ name, reason }) => ({ name, reason: cleanLine(reason, 300) })),
  };
}
