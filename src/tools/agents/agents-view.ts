import { z } from 'zod';
import type { AgentFile, RosterEntry } from '../../runtime/agents/contract.ts';
import { FALLBACK_AGENT } from '../../runtime/config/contract.ts';
import { RuntimeError } from '../../runtime/core/errors.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import type { ImageRequest, Inventory } from '../../runtime/images/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { toImageRequest } from '../images/image-request.ts';

const MAX_ENTRIES = 50;

/** The roster against one image, for clients and for the command line. */
export const AgentsView = z.strictObject({
  agents: z
    .array(
      z.strictObject({
        name: z.string().describe('Give it as agent, if kind is agent.'),
        kind: z.enum(['agent', 'tool', 'web']).describe('web: a program for the browser.'),
        title: z.string(),
        description: z.string(),
        installed: z.boolean().optional().describe('Absent: not known.'),
        version: z.string().optional(),
        reason: z.string().optional().describe('Why it is not installed.'),
        features: z.array(z.string()).describe('What a run of it can be given.'),
      }),
    )
    .describe(`By name, at most ${MAX_ENTRIES}.`),
  default_agent: z.string().describe('Agent of a task that names none.'),
  image: z.string().describe('ready, or why it is not known what is installed.'),
  broken: z
    .array(z.strictObject({ name: z.string(), problem: z.string().describe('File, line and key.') }))
    .describe("A person's own files that cannot be used."),
});
export type AgentsView = z.infer<typeof AgentsView>;

type AgentView = AgentsView['agents'][number];

/** Throws NotFoundError for an unknown project; a host without Podman is no error. */
export async function describeAgents(
  runtime: Pick<Runtime, 'agents' | 'config' | 'images' | 'projects'>,
  options: { readonly project?: string | undefined },
  signal: AbortSignal,
): Promise<AgentsView> {
  const { project } = options;
  const request = await toImageRequest(runtime, project);
  const [{ entries, broken }, image, defaultAgent] = await Promise.all([
    runtime.agents.roster(),
    lookInto(runtime, request, signal),
    defaultAgentOf(runtime, project),
  ]);
  return {
    agents: entries.slice(0, MAX_ENTRIES).map((entry) => ({
      name: entry.name,
      kind: entry.kind,
      title: cleanLine(entry.title, 80),
      description: cleanLine(entry.description, 160),
      ...whereabouts(entry.name, request, image.inventory),
      features: featuresOf(entry),
    })),
    default_agent: defaultAgent,
    image: image.problem ?? 'ready',
    broken: broken
      .slice(0, MAX_ENTRIES)
      .map(({ name, problem }) => ({ name: cleanLine(name, 80), problem: cleanLine(problem, 400) })),
  };
}

async function defaultAgentOf(
  { projects, config }: Pick<Runtime, 'projects' | 'config'>,
  project: string | undefined,
): Promise<string> {
  const own = project === undefined ? undefined : (await projects.get(project)).settings.default_agent;
  return own ?? (await config.global()).defaultAgent ?? FALLBACK_AGENT;
}

/** "Podman could not be asked" and "there is no image yet" are told apart, and neither is "not installed". */
async function lookInto(
  { images }: Pick<Runtime, 'images'>,
  request: ImageRequest,
  signal: AbortSignal,
): Promise<{ readonly inventory: Inventory | undefined; readonly problem: string | undefined }> {
  try {
    const inventory = await images.inventory(request, signal);
    return { inventory, problem: inventory === undefined ? 'not built yet: build_images' : undefined };
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code === 'CANCELLED') throw error;
    return {
      inventory: undefined,
      problem: `could not be looked at: ${cleanLine([error.message, error.hint ?? []].flat().join('. '), 300)}`,
    };
  }
}

function whereabouts(
  name: string,
  { docker }: ImageRequest,
  inventory: Inventory | undefined,
): Pick<AgentView, 'installed' | 'version' | 'reason'> {
  const installed = inventory?.installed.find((entry) => entry.name === name);
  if (installed !== undefined) return { installed: true, version: cleanLine(installed.version, 80) };
  const skipped = inventory?.skipped.find((entry) => entry.name === name);
  if (skipped !== undefined) return { installed: false, reason: cleanLine(skipped.reason, 200) };
  if (docker.agents !== 'all' && !docker.agents.includes(name))
    return { installed: false, reason: 'docker.agents leaves it out' };
  return inventory === undefined ? {} : { installed: false, reason: 'new since the image was built' };
}

function featuresOf(entry: RosterEntry): string[] {
  if (entry.kind === 'agent') return agentFeatures(entry);
  return entry.kind === 'tool' && entry.sidecar !== undefined ? ['sidecar'] : [];
}

function agentFeatures({ headless, acp }: AgentFile): string[] {
  const { options } = headless;
  return [
    ...(headless.resume === undefined ? [] : ['resume']),
    ...(options.model === undefined ? [] : ['model']),
    ...(options.max_turns === undefined ? [] : ['max_turns']),
    ...(options.subagents === undefined ? [] : ['subagents']),
    ...(acp === undefined ? [] : ['acp']),
  ];
}
