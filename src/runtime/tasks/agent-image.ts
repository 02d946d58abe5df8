import { HostError } from '../core/errors.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { Inventory, ReadyImages } from '../images/contract.ts';
import type { Project } from '../projects/contract.ts';

/**
 * The image for a task whose program is an agent or a web program (pure). Throws HostError when it is not in it, saying
 * why and what to do.
 */
export function imageOf(
  wanted: { readonly what: 'agent' | 'web program'; readonly name: string },
  images: ReadyImages,
  project: Project,
): string {
  const { what, name } = wanted;
  const { installed } = images.inventory;
  if (installed.some((one) => one.name === name)) return images.task;
  const reason = reasonOf(name, images.inventory);
  const chosen = project.settings.docker.agents;
  if (reason === undefined && chosen !== 'all' && !chosen.includes(name)) {
    throw new HostError(
      `The ${what} "${name}" is not among those that the image of ${project.id} is to have`,
      {
        hint: `Add it to docker.agents (now: ${chosen.join(', ')}), or choose another ${what}.`,
      },
    );
  }
  const target = project.isRepository ? '' : ` ${project.id}`;
  throw missing(`${what} "${name}"`, 'the image', reason, {
    hint: `Mend that and run "terok-mcp image build${target} --agents", or choose one of: ${installed.map((one) => one.name).join(', ') || 'none is installed'}.`,
  });
}

/** The same for a tool that runs alone. */
export function sidecarOf(
  tool: string,
  sidecar: { readonly tag: string; readonly inventory: Inventory },
): string {
  if (sidecar.inventory.installed.some(({ name }) => name === tool)) return sidecar.tag;
  throw missing(`tool "${tool}"`, 'the image of tools', reasonOf(tool, sidecar.inventory), {
    hint: 'Mend that and run "terok-mcp image build --sidecar --agents".',
  });
}

const reasonOf = (name: string, { skipped }: Inventory): string | undefined =>
  skipped.find((one) => one.name === name)?.reason;

const missing = (
  what: string,
  where: string,
  reason: string | undefined,
  detail: { readonly hint: string },
): HostError =>
  new HostError(
    `The ${what} is not in ${where}${reason === undefined ? '' : `: ${cleanLine(reason)}`}`,
    detail,
  );
