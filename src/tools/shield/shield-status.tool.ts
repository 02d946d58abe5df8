import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import { taskField } from '../fields.ts';

const MAX_ENTRIES = 50;

const endpoint = {
  address: z.string().describe('IP address.'),
  port: z.int().describe('Port.'),
  protocol: z.string().describe('tcp or udp.'),
};

export const shieldStatus = defineTool({
  name: 'shield_status',
  title: "A task's network",
  description: 'What a task may reach and which connections were refused.',
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({ task: taskField }),
  output: z.strictObject({
    task: z.string().describe('Task id.'),
    state: z
      .enum(['up', 'down', 'altered'])
      .describe('up: rules in force; down: no network at all; altered: not our rules.'),
    allowed: z.array(z.strictObject(endpoint)).describe('Everything else is refused.'),
    refused: z
      .array(
        z.strictObject({
          ...endpoint,
          packets: z.int().describe('Packets refused.'),
          at: z.string().describe('ISO 8601.'),
        }),
      )
      .describe('The latest refused, oldest first, at most 50.'),
    refused_ever: z.int().describe('Destinations ever refused to this task.'),
  }),
  handler: async ({ task }, { runtime, signal }) => {
    const report = await runtime.egress.status(runtime.tasks.get(task).id, signal);
    return {
      task: report.task,
      state: report.state,
      allowed: report.allowed
        .slice(0, MAX_ENTRIES)
        .map(({ address, port, protocol }) => ({ address, port, protocol })),
      refused: report.refused
        .slice(-MAX_ENTRIES)
        .map(({ address, port, protocol, packets, at }) => ({ address, port, protocol, packets, at })),
      refused_ever: report.refusedEver,
    };
  },
});
