import { z } from 'zod';
import { FALLBACK_AGENT } from '../../runtime/config/contract.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import { withoutCredentials } from '../../runtime/core/upstream-url.ts';
import { defineTool } from '../define-tool.ts';

const MAX_PROJECTS = 100;

export const listProjects = defineTool({
  name: 'list_projects',
  title: 'List projects',
  description: 'Projects tasks can run in, and those whose project.yml is broken.',
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({}),
  output: z.strictObject({
    projects: z
      .array(
        z.strictObject({
          project: z.string().describe('Project id.'),
          description: z.string().optional().describe('One line for people.'),
          upstream: z.string().describe('The real repository, without credentials.'),
          default_branch: z.string().optional().describe("Absent: the upstream's own HEAD."),
          agent: z.string().describe('Agent for tasks that name none.'),
          promotion: z
            .string()
            .describe('human: promote waits for a person; supervisor: you decide; disabled: none.'),
          active_tasks: z.int().describe('Tasks that have not ended.'),
        }),
      )
      .describe(`At most ${MAX_PROJECTS}.`),
    total: z.int().describe('Valid projects there are.'),
    broken: z
      .array(z.strictObject({ project: z.string(), problem: z.string().describe('File, line and key.') }))
      .describe('Not usable until their file is corrected.'),
    next: z.string().describe('What to call next.'),
  }),
  handler: async (_input, { runtime }) => {
    const { projects, broken } = await runtime.projects.list();
    const active = runtime.tasks.list().filter((task) => task.finishedAt === undefined);
    return {
      projects: projects.slice(0, MAX_PROJECTS).map(({ id, settings }) => ({
        project: id,
        ...(settings.project.description === undefined
          ? {}
          : { description: cleanLine(settings.project.description) }),
        upstream: cleanLine(withoutCredentials(settings.git.upstream_url)),
        ...(settings.git.default_branch === undefined ? {} : { default_branch: settings.git.default_branch }),
        agent: settings.default_agent ?? FALLBACK_AGENT,
        promotion: settings.promotion.approval,
        active_tasks: active.filter((task) => task.project === id).length,
      })),
      total: projects.length,
      broken: broken
        .slice(0, MAX_PROJECTS)
        .map(({ id, problem }) => ({ project: cleanLine(id, 80), problem: cleanLine(problem, 400) })),
      next:
        projects.length === 0
          ? 'Ask a person to run: terok-mcp project create <id> --upstream <url>'
          : 'run_headless with project and prompt',
    };
  },
});
