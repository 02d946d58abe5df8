import { HostError } from '../core/errors.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { ReadyImages } from '../images/contract.ts';
import type { Project } from '../projects/contract.ts';

/** The image for an agent's task (pure). Throws HostError when the agent is not in it, saying why and what to do. */
export function imageOf(agent: string, images: ReadyImages, project: Project): string {
  const { installed, skipped } = images.inventory;
  if (installed.some(({ name }) => name === agent)) return images.task;
  const reason = skipped.find(({ name }) => name === agent)?.reason;
  const chosen = project.settings.docker.agents;
  if (reason === undefined && chosen !== 'all' && !chosen.includes(agent)) {
    throw new HostError(
      `The agent "${agent}" is not among those that the image of ${project.id} is to have`,
      {
        hint: `Add it to docker.agents (now: ${chosen.join(', ')}), or choose another agent.`,
      },
    );
  }
  throw new HostError(
    `The agent "${agent}" is not in the image${reason === undefined ? '' : `: ${cleanLine(reason)}`}`,
    {
      hint: `Mend that and run "terok-mcp image build ${project.id} --agents", or choose one of: ${installed.map(({ name }) => name).join(', ') || 'none is installed'}.`,
    },
  );
}
