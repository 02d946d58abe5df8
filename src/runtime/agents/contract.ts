import { z } from 'zod';

/** One file of `resources/agents/`: everything about an agent that is data. */
export const AgentFile = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/)
    .describe('Name by which tools and projects choose it.'),
  title: z.string().min(1).max(80),
  description: z.string().min(1).max(500),
  install: z.strictObject({
    bundled: z
      .array(z.string().regex(/^[a-z0-9-]+$/))
      .min(1)
      .describe('Programs of resources/container/ copied to /usr/local/bin.'),
  }),
  headless: z.strictObject({
    command: z
      .array(z.string().min(1))
      .min(1)
      .describe('Program and arguments; the prompt is not among them.'),
    prompt: z
      .literal('stdin')
      .describe('How the prompt reaches the agent: on standard input, byte for byte.'),
  }),
});
export type AgentFile = z.infer<typeof AgentFile>;

/** A person's own file that cannot be used. */
export interface AgentProblem {
  readonly name: string;
  /** With file, line and key. */
  readonly problem: string;
}

export interface Agents {
  /**
   * All agents, sorted, and the person's own files that are broken. A bundled agent stays among the former
   * while the file that is to replace it is among the latter.
   */
  list(): Promise<{ readonly agents: readonly AgentFile[]; readonly broken: readonly AgentProblem[] }>;
  /** Throws NotFoundError with the nearest names, or InvalidInputError (file, line, key) for a broken file. */
  get(name: string): Promise<AgentFile>;
}
