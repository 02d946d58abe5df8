import { ConflictError } from '../core/errors.ts';
import { type ContainerEngine, LABEL } from '../engine/contract.ts';
import type { ImageRecord } from './contract.ts';
import { describeImages, removable } from './image-records.ts';

/** What there is of ours, and taking away what nothing needs. */
export class ImageCatalog {
  readonly #engine: ContainerEngine;
  readonly #instance: string;

  constructor(deps: { readonly engine: ContainerEngine; readonly instance: string }) {
    this.#engine = deps.engine;
    this.#instance = deps.instance;
  }

  async list(projects: readonly string[], signal?: AbortSignal): Promise<readonly ImageRecord[]> {
    const images = await this.#engine.listImages(LABEL.content, signal);
    const names = new Set(images.flatMap(({ labels }) => labels[LABEL.base] ?? []));
    const bases = await this.#engine.labelsOf([...names], signal);
    return describeImages(images, {
      instance: this.#instance,
      projects,
      bases: new Set(bases.keys()),
    });
  }

  async cleanup(
    options: { readonly projects: readonly string[]; readonly dryRun: boolean },
    signal?: AbortSignal,
  ): Promise<readonly ImageRecord[]> {
    if (!options.dryRun) await this.#engine.removeStaleBuilds(Date.now(), signal);
    const wanted = removable(await this.list(options.projects, signal));
    if (options.dryRun) return wanted;
    const gone: ImageRecord[] = [];
    for (const image of wanted) if (await this.#remove(image, signal)) gone.push(image);
    return gone;
  }

  /** False when a container or another image needs it: then it stays. */
  async #remove(image: ImageRecord, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      for (const name of image.tags.length === 0 ? [image.id] : image.tags)
        await this.#engine.removeImage(name, signal);
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }
}
