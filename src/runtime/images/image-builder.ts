import { ConflictError } from '../core/errors.ts';
import type { Progress } from '../engine/contract.ts';
import { PUBLISHED_BASE } from './base-recipe.ts';
import { assertFreeDirectory, writeFiles } from './build-context-store.ts';
import { type Brought, ChainBuilder, type ChainBuilderDeps, layersOf } from './chain-builder.ts';
import type {
  BuildRequest,
  BuildResult,
  ImageRecord,
  ImageRequest,
  Images,
  Inventory,
  ReadyImages,
} from './contract.ts';
import { generatedFiles } from './generated-files.ts';
import { ImageCatalog } from './image-catalog.ts';
import { inventoryOf } from './inventory.ts';
import { type Part, planChain, planRequest, type Refreshes } from './layer-planner.ts';
import { isCurrent } from './layers.ts';

const NOTHING: Inventory = { installed: [], skipped: [] };
const NEVER: Refreshes = { l0: '0', l1: '0', sidecar: '0' };

/** Keeps the layers that tasks run on present and in step with the files they are made of. */
export class ImageBuilder implements Images {
  readonly #deps: ChainBuilderDeps;
  readonly #chains: ChainBuilder;
  readonly #catalog: ImageCatalog;

  constructor(deps: ChainBuilderDeps) {
    this.#deps = deps;
    this.#chains = new ChainBuilder(deps);
    this.#catalog = new ImageCatalog(deps);
  }

  async ensure(request: ImageRequest, progress: Progress, signal?: AbortSignal): Promise<ReadyImages> {
    return ready(await this.#chains.bring(request, ['l1', 'l2'], 'missing', progress, signal));
  }

  async ensureDev(request: ImageRequest, progress: Progress, signal?: AbortSignal): Promise<string> {
    const { chain } = await this.#chains.bring(request, ['dev'], 'missing', progress, signal);
    return (chain.dev ?? chain.l0).tag;
  }

  async ensureSidecar(
    request: ImageRequest,
    progress: Progress,
    signal?: AbortSignal,
  ): Promise<{ readonly tag: string; readonly inventory: Inventory }> {
    const { chain, labels } = await this.#chains.bring(request, ['sidecar'], 'missing', progress, signal);
    return { tag: chain.sidecar.tag, inventory: inventoryOf(labels.get(chain.sidecar.tag) ?? {}) ?? NOTHING };
  }

  async build(request: BuildRequest, progress: Progress, signal?: AbortSignal): Promise<BuildResult> {
    const { scope, dev, sidecar, project, docker } = request;
    const parts: Part[] = ['l1', 'l2'];
    if (dev) parts.push('dev');
    if (sidecar) parts.push('sidecar');
    const brought = await this.#chains.bring({ project, docker }, parts, scope, progress, signal);
    const { chain, built } = brought;
    return {
      ...ready(brought),
      dev: dev ? (chain.dev ?? chain.l0).tag : undefined,
      sidecar: sidecar ? chain.sidecar.tag : undefined,
      built,
    };
  }

  async generate(request: ImageRequest, directory: string): Promise<readonly string[]> {
    await assertFreeDirectory(directory);
    const { inputs, base } = await planRequest(this.#deps, request);
    const parent = { tag: base ?? PUBLISHED_BASE, content: undefined };
    return await writeFiles(directory, generatedFiles(planChain(inputs, parent, NEVER)));
  }

  async plan(request: ImageRequest, signal?: AbortSignal): Promise<{ readonly missing: readonly string[] }> {
    const { planned, chain, labels } = await this.#chains.look(request, signal);
    if (chain !== undefined) {
      const stale = layersOf(chain, ['l1', 'l2']).filter((layer) => !isCurrent(layer, labels.get(layer.tag)));
      return { missing: stale.map(({ tag }) => tag) };
    }
    const base = { tag: planned.base ?? PUBLISHED_BASE, content: undefined };
    const layers = layersOf(planChain(planned.inputs, base, NEVER), ['l1', 'l2']);
    return { missing: [planned.base ?? 'the base image', ...layers.map(({ tag }) => tag)] };
  }

  async inventory(request: ImageRequest, signal?: AbortSignal): Promise<Inventory | undefined> {
    const { chain, labels } = await this.#chains.look(request, signal);
    return chain === undefined ? undefined : inventoryOf(labels.get(chain.l1.tag) ?? {});
  }

  async list(projects: readonly string[], signal?: AbortSignal): Promise<readonly ImageRecord[]> {
    return await this.#catalog.list(projects, signal);
  }

  async cleanup(
    options: { readonly projects: readonly string[]; readonly dryRun: boolean },
    signal?: AbortSignal,
  ): Promise<readonly ImageRecord[]> {
    if (this.#chains.isBusy && !options.dryRun) {
      throw new ConflictError('Images are being built, and their steps cannot be told from leftovers', {
        hint: 'Clean up when the build has ended.',
      });
    }
    this.#chains.forget();
    return await this.#catalog.cleanup(options, signal);
  }

  async takeUpLeftovers(): Promise<void> {
    await this.#chains.takeUpLeftovers();
  }

  async wouldBuildBase(options: { readonly mayAskEngine: boolean }, signal?: AbortSignal): Promise<boolean> {
    const { base, engine } = this.#deps;
    const labels = options.mayAskEngine
      ? await engine.labelsOf(base.candidates(undefined), signal)
      : new Map();
    return base.choose(undefined, labels) === undefined && (await base.wouldBuild(signal));
  }
}

function ready({ chain, labels }: Brought): ReadyImages {
  const { base, l0, l1, l2 } = chain;
  return {
    base: base.tag,
    l0: l0.tag,
    l1: l1.tag,
    l2: l2?.tag,
    task: (l2 ?? l1).tag,
    inventory: inventoryOf(labels.get(l1.tag) ?? {}) ?? NOTHING,
  };
}
