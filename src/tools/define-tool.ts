import { z } from 'zod';
import { InvalidInputError } from '../runtime/core/errors.ts';
import { cleanLine } from '../runtime/core/untrusted-text.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** What a client may assume about a call; MCP's defaults are the opposite of safe, so all four are stated. */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

export interface ToolContext {
  readonly runtime: Runtime;
  /** Ends waits and reads. Never handed to an operation that changes something: a client's death undoes nothing. */
  readonly signal: AbortSignal;
  /** Tells whoever waits how it comes along. Text from outside may be said; what comes too fast is left out. */
  progress(message: string): void;
  /** Somebody hears it: what has a price of its own is told to nobody else. */
  readonly isWatched: boolean;
}

/** Small data goes as an object; bulk text (logs, patches) as text alone. */
export type ToolAnswer = { readonly object: Readonly<Record<string, unknown>> } | { readonly text: string };

export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly annotations: ToolAnnotations;
  readonly input: z.ZodType;
  /** Absent for tools that answer with text. */
  readonly output: z.ZodType | undefined;
  /** Throws InvalidInputError naming each wrong field, or what the runtime throws. */
  call(rawArguments: unknown, context: ToolContext): Promise<ToolAnswer>;
}

interface ToolHead<I extends z.ZodObject> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly annotations: ToolAnnotations;
  readonly input: I;
}

type ObjectTool<I extends z.ZodObject, O extends z.ZodObject> = ToolHead<I> & {
  readonly output: O;
  handler(input: z.output<I>, context: ToolContext): Promise<z.input<O>>;
};

type TextTool<I extends z.ZodObject> = ToolHead<I> & {
  handler(input: z.output<I>, context: ToolContext): Promise<ToolAnswer>;
};

export function defineTool<I extends z.ZodObject, O extends z.ZodObject>(tool: ObjectTool<I, O>): Tool {
  return {
    ...tool,
    call: async (raw, context) => ({ object: await tool.handler(parseArguments(tool, raw), context) }),
  };
}

/** A tool whose answer is bulk text, at least sometimes; it declares no output schema. */
export function defineTextTool<I extends z.ZodObject>(tool: TextTool<I>): Tool {
  return {
    ...tool,
    output: undefined,
    call: async (raw, context) => await tool.handler(parseArguments(tool, raw), context),
  };
}

const MAX_PROBLEMS = 8;

function parseArguments<I extends z.ZodObject>(tool: ToolHead<I>, raw: unknown): z.output<I> {
  const parsed = tool.input.safeParse(raw ?? {});
  if (parsed.success) return parsed.data;
  throw new InvalidInputError(`Invalid arguments for ${tool.name}: ${describeIssues(parsed.error)}`, {
    hint: `${tool.name} takes: ${Object.entries(tool.input.shape).map(describeField).join(', ')}.`,
  });
}

/** What is wrong, each problem behind the field it is in; values are not repeated. */
export function describeIssues({ issues }: z.ZodError): string {
  const problems = issues.slice(0, MAX_PROBLEMS).map(describeIssue);
  if (issues.length > MAX_PROBLEMS) problems.push(`and ${issues.length - MAX_PROBLEMS} more`);
  return problems.join('; ');
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const field = issue.path.length === 0 ? '' : `${cleanLine(issue.path.map(String).join('.'), 60)}: `;
  if (issue.code === 'unrecognized_keys') {
    return `${field}no such field: ${issue.keys
      .slice(0, 5)
      .map((key) => `"${cleanLine(key, 40)}"`)
      .join(', ')}`;
  }
  return `${field}${cleanLine(issue.message, 200)}`;
}

function describeField([name, schema]: readonly [string, z.core.$ZodType]): string {
  return schema instanceof z.ZodType && schema.safeParse(undefined).success ? `${name} (optional)` : name;
}
