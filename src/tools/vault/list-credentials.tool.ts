import { z } from 'zod';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import { defineTool } from '../define-tool.ts';

const MAX_CREDENTIALS = 100;

export const listCredentials = defineTool({
  name: 'list_credentials',
  title: 'List credentials',
  description:
    'Credentials tasks can use (never a value), what each was used for, and whether the vault is open.',
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({}),
  output: z.strictObject({
    vault: z.enum(['unlocked', 'locked', 'empty']).describe('locked: requests of tasks get 503.'),
    credentials: z
      .array(
        z.strictObject({
          provider: z.string().describe('Agent or tool.'),
          set: z.string().describe('default, or the project whose own it is.'),
          kind: z.string().describe('oauth, api_key, oauth_token or pat.'),
          expires_at: z.string().optional().describe('ISO 8601; oauth is renewed by itself.'),
          problem: z.string().optional().describe('A person has to log in again.'),
          requests: z.int(),
          input_tokens: z.int(),
          output_tokens: z.int(),
          cost_usd: z.number().describe('Where prices are known.'),
          last_used_at: z.string().optional(),
        }),
      )
      .describe(`At most ${MAX_CREDENTIALS}.`),
    total: z.int(),
    next: z.string().describe('What to do next.'),
  }),
  handler: async (_input, { runtime }) => {
    const { state } = runtime.vault.status();
    const all = runtime.vault.list();
    const broken = all.find(({ problem }) => problem !== undefined);
    return {
      vault: state,
      credentials: all.slice(0, MAX_CREDENTIALS).map(({ provider, set, kind, expiresAt, problem, use }) => ({
        provider: cleanLine(provider, 80),
        set: cleanLine(set, 80),
        kind,
        ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
        ...(problem === undefined ? {} : { problem: cleanLine(problem, 300) }),
        requests: use.requests,
        input_tokens: use.inputTokens,
        output_tokens: use.outputTokens,
        cost_usd: Math.round(use.costUsd * 10_000) / 10_000,
        ...(use.lastUsedAt === undefined ? {} : { last_used_at: use.lastUsedAt }),
      })),
      total: all.length,
      next: nextStep(state, broken?.provider, all.length),
    };
  },
});

function nextStep(state: string, broken: string | undefined, count: number): string {
  if (state === 'locked') return 'Ask a person to run: terok-mcp vault unlock';
  if (broken !== undefined) return `Ask a person to run: terok-mcp auth ${cleanLine(broken, 80)}`;
  return count === 0 ? 'Ask a person to run: terok-mcp auth <agent>' : 'run_headless with project and prompt';
}
