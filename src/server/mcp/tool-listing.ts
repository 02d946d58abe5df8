import type { Tool as ListedTool } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Tool } from '../../tools/define-tool.ts';

/** What `tools/list` answers. Converting schemas costs a millisecond: done once per process. */
export function listTools(tools: readonly Tool[]): ListedTool[] {
  return tools
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((tool) => ({
      name: tool.name,
      title: tool.title,
      description: tool.description,
      inputSchema: toObjectSchema(tool.input, 'input'),
      ...(tool.output === undefined ? {} : { outputSchema: toObjectSchema(tool.output, 'output') }),
      annotations: { title: tool.title, ...tool.annotations },
    }));
}

function toObjectSchema(
  schema: z.ZodType,
  io: 'input' | 'output',
): { type: 'object' } & Record<string, unknown> {
  const override = io === 'input' ? leaveOutFineprint : undefined;
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io, ...(override && { override }) });
  return { ...json, type: 'object' };
}

/**
 * Every client reads this list with every conversation. Patterns and lengths are checked all the same, and whoever
 * breaks one is told: an example in the description says more for less.
 */
function leaveOutFineprint({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  for (const key of ['pattern', 'minLength', 'maxLength', 'format', 'maxItems'] as const)
    delete jsonSchema[key];
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}
