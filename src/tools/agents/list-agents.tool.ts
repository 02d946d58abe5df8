import { z } from 'zod';
import { defineTool } from '../define-tool.ts';
import { projectField } from '../fields.ts';
import { AgentsView, describeAgents } from './agents-view.ts';

export const listAgents = defineTool({
  name: 'list_agents',
  title: 'List agents',
  description: 'Agents and tools, what each can be given, and whether it is installed or why not.',
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({
    project: projectField.optional().describe('Whose image.'),
  }),
  output: AgentsView.extend({ next: z.string().describe('What to call next.') }),
  handler: async ({ project }, { runtime, signal }) => {
    const view = await describeAgents(runtime, { project }, signal);
    const isKnown = view.agents.some(({ installed }) => installed === true);
    return { ...view, next: isKnown ? 'run_headless with agent=<name>' : 'build_images installs them' };
  },
});
