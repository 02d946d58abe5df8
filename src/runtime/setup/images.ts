import type { ImageRequest, Images } from '../images/contract.ts';
import type { SetupStep } from './contract.ts';
import { failing, fine } from './finding.ts';

const ID = 'images';

/** The images tasks run on. Asking about them asks Podman, so it comes after everything Podman needs. */
export function imagesStep(deps: {
  readonly images: Images;
  /** What `config.yml` asks for. */
  readonly machineImages: () => Promise<ImageRequest>;
  readonly hasStore: () => Promise<boolean>;
}): SetupStep {
  return {
    id: ID,
    title: 'Preparing images',
    check: async (signal) => {
      // Podman makes its store when it is asked anything, and a check must not.
      if (!(await deps.hasStore())) return failing(ID, 'there are no images yet', 'Run "terok-mcp setup".');
      const { missing } = await deps.images.plan(await deps.machineImages(), signal);
      return missing.length === 0
        ? fine(ID, 'all images are there and up to date')
        : failing(ID, `missing or out of date: ${missing.join(', ')}`, 'Run "terok-mcp setup".');
    },
    apply: async (progress, signal) => {
      const { inventory } = await deps.images.ensure(await deps.machineImages(), progress, signal);
      for (const { name, reason } of inventory.skipped) progress(`${name} is not installed: ${reason}`);
    },
  };
}
