import type { Agents } from '../agents/contract.ts';
import { CommandError } from '../core/errors.ts';
import { type ContainerEngine, LABEL, type Progress } from '../engine/contract.ts';
import type { BaseImage } from './base-image.ts';
import { PUBLISHED_BASE } from './base-recipe.ts';
import { makeBuildContext } from './build-context-store.ts';
import { followBuild } from './build-progress.ts';
import type { Images, ReadyImages } from './contract.ts';
import { bundledPrograms, planLayers } from './dockerfile.ts';
import { loadLayerSources } from './layer-loader.ts';
import type { Layer, Parent } from './layers.ts';
import { SharedWork } from './shared-work.ts';

/** How long "everything is there" is believed without asking the engine again. */
const TRUST_MS = 15_000;
const PROGRESS_MS = 2_000;

export interface ImageBuilderDeps {
  readonly engine: ContainerEngine;
  readonly agents: Agents;
  readonly base: BaseImage;
  /** The `resources/` directory. */
  readonly resources: string;
  /** Where build contexts are written for the time of a build. */
  readonly cache: string;
  /** Milliseconds on a clock that never goes back. */
  readonly monotonicMs: () => number;
}

/** Keeps the layers that tasks run on present and in step with the files they are made of. */
export class ImageBuilder implements Images {
  readonly #deps: ImageBuilderDeps;
  readonly #ensuring: SharedWork<ReadyImages>;
  #confirmed: { readonly images: ReadyImages; readonly atMs: number } | undefined;
  #knownBase: string | undefined;

  constructor(deps: ImageBuilderDeps) {
    this.#deps = deps;
    this.#ensuring = new SharedWork((progress, signal) => this.#ensure(progress, signal));
  }

  async ensure(progress: Progress, signal?: AbortSignal): Promise<ReadyImages> {
    const confirmed = this.#confirmed;
    if (confirmed !== undefined && this.#deps.monotonicMs() - confirmed.atMs < TRUST_MS)
      return confirmed.images;
    return await this.#ensuring.join(progress, signal);
  }

  async plan(signal?: AbortSignal): Promise<{ readonly missing: readonly string[] }> {
    const base = await this.#deps.base.find(undefined, signal);
    const { l0, l1 } = await this.#layersOn(base ?? { tag: PUBLISHED_BASE, content: undefined });
    const isCurrent = await Promise.all([l0, l1].map((layer) => this.#isCurrent(layer, signal)));
    const missing = [l0, l1].filter((_, index) => base === undefined || isCurrent[index] !== true);
    return {
      missing: [...(base === undefined ? ['the base image'] : []), ...missing.map((layer) => layer.tag)],
    };
  }

  async wouldBuildBase(options: { readonly mayAskEngine: boolean }, signal?: AbortSignal): Promise<boolean> {
    const present = options.mayAskEngine ? await this.#deps.base.find(undefined, signal) : undefined;
    return present === undefined && (await this.#deps.base.wouldBuild(signal));
  }

  async #ensure(progress: Progress, signal: AbortSignal): Promise<ReadyImages> {
    const known = this.#knownBase;
    // One question an image, all at once: the layers on the base used last are asked about together with it.
    const [base, current] = await Promise.all([
      this.#deps.base.find(known, signal),
      known === undefined ? undefined : this.#currentTagsOn(known, signal),
    ]);
    const parent = base ?? (await this.#deps.base.provide(progress, signal));
    const { l0, l1 } = await this.#layersOn(parent);
    const tags = current ?? (await this.#currentTagsOn(parent.tag, signal));
    const isL0Current = base !== undefined && tags.get(l0.tag) === l0.contentHash;
    if (!isL0Current) await this.#build(l0, parent, progress, signal);
    if (!isL0Current || tags.get(l1.tag) !== l1.contentHash) await this.#build(l1, parent, progress, signal);
    const images = { base: parent.tag, l0: l0.tag, l1: l1.tag };
    this.#knownBase = parent.tag;
    this.#confirmed = { images, atMs: this.#deps.monotonicMs() };
    return images;
  }

  /** Content hashes of the layers that exist on a base, by tag. */
  async #currentTagsOn(base: string, signal: AbortSignal): Promise<ReadonlyMap<string, string | undefined>> {
    const { l0, l1 } = await this.#layersOn({ tag: base, content: undefined });
    const labels = await Promise.all([l0, l1].map(({ tag }) => this.#deps.engine.imageLabels(tag, signal)));
    return new Map([l0, l1].map(({ tag }, index) => [tag, labels[index]?.[LABEL.content]]));
  }

  async #isCurrent(layer: Layer, signal: AbortSignal | undefined): Promise<boolean> {
    const labels = await this.#deps.engine.imageLabels(layer.tag, signal);
    return labels?.[LABEL.content] === layer.contentHash;
  }

  async #layersOn(base: Parent): Promise<{ readonly l0: Layer; readonly l1: Layer }> {
    const { agents } = await this.#deps.agents.list();
    const programs = bundledPrograms(agents);
    return planLayers(await loadLayerSources({ resources: this.#deps.resources, programs }), base);
  }

  async #build(layer: Layer, base: Parent, progress: Progress, signal: AbortSignal): Promise<void> {
    progress(`Building ${layer.tag}`);
    await using context = await makeBuildContext(this.#deps.cache, layer);
    const build = {
      tag: layer.tag,
      dockerfile: context.dockerfile,
      context: context.directory,
      labels: { [LABEL.content]: layer.contentHash, [LABEL.base]: base.tag },
    };
    const follow = followBuild(progress, { monotonicMs: this.#deps.monotonicMs, intervalMs: PROGRESS_MS });
    await this.#deps.engine.build(build, follow, signal).catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      throw new CommandError(`The image layer ${layer.tag} could not be built`, {
        hint: 'Run "terok-mcp setup" once the cause named below is gone.',
        details: error.details,
        cause: error,
      });
    });
  }
}
