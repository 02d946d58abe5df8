import { z } from 'zod';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import { defineTool } from '../define-tool.ts';

export const doctor = defineTool({
  name: 'doctor',
  title: 'Check the host',
  description: 'What works on this host, what does not, and what a person can do about it.',
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({}),
  output: z.strictObject({
    ok: z.boolean().describe('No check failed; warnings do not count.'),
    findings: z
      .array(
        z.strictObject({
          check: z.string().describe('Stable identifier.'),
          level: z.enum(['ok', 'warn', 'fail']).describe('fail: tasks will not work.'),
          message: z.string().describe('What was found.'),
          fix: z.string().optional().describe('What to do.'),
        }),
      )
      .describe('Failures first.'),
  }),
  handler: async (_input, { runtime, signal }) => {
    const findings = await runtime.doctor.examine(signal);
    const rank = { fail: 0, warn: 1, ok: 2 } as const;
    return {
      ok: findings.every((finding) => finding.level !== 'fail'),
      findings: findings
        .toSorted((a, b) => rank[a.level] - rank[b.level])
        .map(({ check, level, message, fix }) => ({
          check,
          level,
          message: cleanLine(message, 400),
          ...(fix === undefined ? {} : { fix: cleanLine(fix, 400) }),
        })),
    };
  },
});
