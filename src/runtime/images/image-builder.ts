import { randomUUID } from 'node:crypto';
import type { Agents } from '../agents/contract.ts';
import { ConflictError } from '../core/errors.ts';
import { type ContainerEngine, LABEL, type Progress } from '../engine/contract.ts';
import type { BaseImage } from './base-image.ts';
import { PUBLISHED_BASE } from './base-recipe.ts';
import { assertFreeDirectory, writeFiles } from './build-context-store.ts';
import type { BuildRequest, BuildResult, ImageRecord, ImageRequest, Images, Inventory, ReadyImages } from './contract.ts';
import { generatedFiles } from './generated-files.ts';
import { describeImages, removable } from './image-records.ts';
import { inventoryOf } from './inventory.ts';
import { LayerBuilder, type LayerBuilderDeps } from './layer-builder.ts';
import { type Chain, chainTags, type PlannedRequest, planChain, planRequest, presentRefreshes, type Refreshes } from './layer-planner.ts';
import { isCurrent, type Labels, type Layer, layerTags, type Parent } from './layers.ts';
import { SharedWorks } from './shared-work.ts';

/** How long what the engine said of images is believed without asking again. */
const TRUST_MS = 15_000;
const NOTHING: Inventory = { installed: [], skipped: [] };

export interface ImageBuilderDeps extends LayerBuilderDeps {
  readonly engine: ContainerEngine;
  readonly agents: Agents;
  readonly base: BaseImage;
}

type Part = 'l1' | 'l2' | 'dev' | 'sidecar';
type Scope = BuildRequest['scope'] | 'missing';

interface Brought {
  readonly chain: Chain;
  readonly labels: ReadonlyMap<string, Labels>;
  readonly built: readonly string[];
}

/** Keeps the layers that tasks run on present and in step with the files they are made of. */
export class ImageBuilder implements Images {
  readonly #deps: ImageBuilderDeps;
  readonly #layers: LayerBuilder;
  readonly #bringing = new SharedWorks<Brought>();
  readonly #bases = new SharedWorks<Parent>();
  /** What the engine said, by the names it was asked for. */
  readonly #trusted = new Map<string, { readonly labels: ReadonlyMap<string, Labels>; readonly atMs: number }>();

  constructor(deps: ImageBuilderDeps) {
    this.#deps = deps;
    this.#layers = new LayerBuilder(deps);
  }

  async ensure(request: ImageRequest, progress: Progress, signal?: AbortSignal): Promise<ReadyImages> {
    return ready(await this.#bring(request, ['l1', 'l2'], 'missing', progress, signal));
  }

  async ensureDev(request: ImageRequest, progress: Progress, signal?: AbortSignal): Promise<string> {
    const { chain } = await this.#bring(request, ['dev'], 'missing', progress, signal);
    return (chain.dev ?? chain.l0).tag;
  }

  async ensureSidecar(
    request: ImageRequest,
    progress: Progress,
    signal?: AbortSignal,
  ): Promise<{ readonly tag: string; readonly inventory: Inventory }> {
    const { chain, labels } = await this.#bring(request, ['sidecar'], 'missing', progress, signal);
    return { tag: chain.sidecar.tag, inventory: inventoryOf(labels.get(chain.sidecar.tag) ?? {}) ?? NOTHING };
  }

  async build(request: BuildRequest, progress: Progress, signal?: AbortSignal): Promise<BuildResult> {
    const { scope, dev, sidecar, ...images } = request;
    const parts: readonly Part[] = ['l1', 'l2', ...(dev ? ['dev' as const] : []), ...(sidecar ? ['sidecar' as const] : [])];
    const brought = await this.#bring(images, parts, scope, progress, signal);
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
    const planned = await planRequest(this.#deps, request);
    const labels = await this.#ask(planned, signal);
    const base = this.#deps.base.choose(planned.base, labels);
    const chain = this.#chain(planned, base ?? { tag: planned.base ?? PUBLISHED_BASE, content: undefined }, labels);
    const layers = layersOf(chain, ['l1', 'l2']);
    const missing = layers.filter((layer) => base === undefined || !isCurrent(layer, labels.get(layer.tag)));
    return {
      missing: [
        ...(base === undefined ? [planned.base ?? 'the base image'] : []),
        ...missing.map((layer) => layer.tag),
      ],
    };
  }

  async inventory(request: ImageRequest, signal?: AbortSignal): Promise<Inventory | undefined> {
    const planned = await planRequest(this.#deps, request);
    const labels = await this.#ask(planned, signal);
    const base = this.#deps.base.choose(planned.base, labels);
    if (base === undefined) return undefined;
    return inventoryOf(labels.get(layerTags(base.tag, planned.inputs.selection).l1) ?? {});
  }

  async list(projects: readonly string[], signal?: AbortSignal): Promise<readonly ImageRecord[]> {
    const images = await this.#deps.engine.listImages(LABEL.content, signal);
    const names = new Set(images.flatMap(({ labels }) => labels[LABEL.base] ?? []));
    const bases = await this.#deps.engine.labelsOf([...names], signal);
    return describeImages(images, { projects, bases: new Set(bases.keys()) });
  }

  async cleanup(
    options: { readonly projects: readonly string[]; readonly dryRun: boolean },
    signal?: AbortSignal,
  ): Promise<readonly ImageRecord[]> {
    const wanted = removable(await this.list(options.projects, signal));
    if (options.dryRun) return wanted;
    this.#trusted.clear();
    const gone: ImageRecord[] = [];
    for (const image of wanted) if (await this.#remove(image, signal)) gone.push(image);
    return gone;
  }

  async wouldBuildBase(options: { readonly mayAskEngine: boolean }, signal?: AbortSignal): Promise<boolean> {
    const { base, engine } = this.#deps;
    const labels = options.mayAskEngine ? await engine.labelsOf(base.candidates(undefined), signal) : new Map();
    return base.choose(undefined, labels) === undefined && (await base.wouldBuild(signal));
  }

  /** False when a container or another image needs it: then it stays. */
  async #remove(image: ImageRecord, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      for (const name of image.tags.length === 0 ? [image.id] : image.tags)
        await this.#deps.engine.removeImage(name, signal);
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }

  async #bring(
    request: ImageRequest,
    parts: readonly Part[],
    scope: Scope,
    progress: Progress,
    signal: AbortSignal | undefined,
  ): Promise<Brought> {
    const planned = await planRequest(this.#deps, request);
    if (scope === 'missing') {
      const present = this.#allCurrent(planned, parts, this.#trustedLabels(planned));
      if (present !== undefined) return present;
    }
    const key = JSON.stringify([request, parts, scope, planned.inputs.snippet]);
    const work = (report: Progress, shared: AbortSignal): Promise<Brought> =>
      this.#bringAll(planned, parts, scope, report, shared);
    return await this.#bringing.join(key, work, progress, signal);
  }

  async #bringAll(
    planned: PlannedRequest,
    parts: readonly Part[],
    scope: Scope,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<Brought> {
    const present = new Map(await this.#ask(planned, signal));
    if (scope === 'missing') {
      const current = this.#allCurrent(planned, parts, present);
      if (current !== undefined) return current;
    }
    this.#trusted.clear();
    const base = await this.#bringBase(planned, present, scope, progress, signal);
    const refreshes = this.#refreshes(planned, base, present, scope);
    const chain = planChain(planned.inputs, base, refreshes);
    const built: string[] = [];
    for (const layer of layersOf(chain, parts)) {
      const isForced = mustBuild(layer, scope);
      if (!isForced && isCurrent(layer, present.get(layer.tag))) continue;
      const refresh = layer.kind === 'l0' ? refreshes.l0 : layer.kind === 'sidecar' ? refreshes.sidecar : refreshes.l1;
      const manner = { refresh, isForced, noCache: scope === 'full' };
      present.set(layer.tag, await this.#layers.build(layer, manner, progress, signal));
      built.push(layer.tag);
    }
    this.#trusted.clear();
    return { chain, labels: present, built };
  }

  async #bringBase(
    planned: PlannedRequest,
    labels: ReadonlyMap<string, Labels>,
    scope: Scope,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<Parent> {
    const present = this.#deps.base.choose(planned.base, labels);
    if (present !== undefined && scope !== 'full') return present;
    const work = (report: Progress, shared: AbortSignal): Promise<Parent> =>
      present === undefined
        ? this.#deps.base.provide(planned.base, report, shared)
        : this.#deps.base.refresh(present, planned.base, report, shared);
    return await this.#bases.join(`${planned.base ?? ''} ${present === undefined}`, work, progress, signal);
  }

  #refreshes(
    planned: PlannedRequest,
    base: Parent,
    labels: ReadonlyMap<string, Labels>,
    scope: Scope,
  ): Refreshes {
    const present = presentRefreshes(planned.inputs, base.tag, labels);
    if (scope !== 'full' && scope !== 'agents') return present;
    const fresh = randomUUID();
    return { l0: scope === 'full' ? fresh : present.l0, l1: fresh, sidecar: fresh };
  }

  #allCurrent(
    planned: PlannedRequest,
    parts: readonly Part[],
    labels: ReadonlyMap<string, Labels> | undefined,
  ): Brought | undefined {
    const base = labels === undefined ? undefined : this.#deps.base.choose(planned.base, labels);
    if (labels === undefined || base === undefined) return undefined;
    const chain = this.#chain(planned, base, labels);
    const isReady = layersOf(chain, parts).every((layer) => isCurrent(layer, labels.get(layer.tag)));
    return isReady ? { chain, labels, built: [] } : undefined;
  }

  #chain(planned: PlannedRequest, base: Parent, labels: ReadonlyMap<string, Labels>): Chain {
    return planChain(planned.inputs, base, presentRefreshes(planned.inputs, base.tag, labels));
  }

  /** One question for every image a request may be about. */
  async #ask(planned: PlannedRequest, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, Labels>> {
    const names = this.#names(planned);
    const labels = await this.#deps.engine.labelsOf(names, signal);
    this.#trusted.set(names.join(' '), { labels, atMs: this.#deps.monotonicMs() });
    return labels;
  }

  #trustedLabels(planned: PlannedRequest): ReadonlyMap<string, Labels> | undefined {
    const now = this.#deps.monotonicMs();
    for (const [key, { atMs }] of this.#trusted) if (now - atMs >= TRUST_MS) this.#trusted.delete(key);
    return this.#trusted.get(this.#names(planned).join(' '))?.labels;
  }

  #names({ inputs, base }: PlannedRequest): readonly string[] {
    const bases = this.#deps.base.candidates(base);
    return [...new Set([...bases, ...bases.flatMap((tag) => chainTags(inputs, tag))])];
  }
}

const NEVER: Refreshes = { l0: '0', l1: '0', sidecar: '0' };

/** The layers that are wanted, each after what it stands on. */
function layersOf({ l0, l1, l2, dev, sidecar }: Chain, parts: readonly Part[]): readonly Layer[] {
  const wanted = (part: Part, layer: Layer | undefined): readonly Layer[] =>
    parts.includes(part) && layer !== undefined ? [layer] : [];
  return [l0, ...wanted('l1', l1), ...wanted('l2', l2), ...wanted('dev', dev), ...wanted('sidecar', sidecar)];
}

/** Whether a layer is built although it is there and up to date. */
function mustBuild(layer: Layer, scope: Scope): boolean {
  switch (scope) {
    case 'missing':
      return false;
    case 'project':
      return layer.project !== undefined;
    case 'agents':
      return layer.kind !== 'l0';
    case 'full':
      return true;
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
