import { randomUUID } from 'node:crypto';
import type { Agents } from '../agents/contract.ts';
import type { Progress } from '../engine/contract.ts';
import type { BaseImage } from './base-image.ts';
import type { BuildRequest, ImageRequest } from './contract.ts';
import { LayerBuilder, type LayerBuilderDeps } from './layer-builder.ts';
import {
  type Chain,
  chainTags,
  type Part,
  type PlannedRequest,
  planChain,
  planRequest,
  presentRefreshes,
  type Refreshes,
} from './layer-planner.ts';
import { isCurrent, type Labels, type Layer, type Parent } from './layers.ts';
import { SharedWorks } from './shared-work.ts';

/** How long what the engine said of images is believed without asking again. */
const TRUST_MS = 15_000;
const WARM_MS = 600_000;
/** `dev` of the images, as whom tasks run. */
const TASK_USER = 1000;

export interface ChainBuilderDeps extends LayerBuilderDeps {
  readonly agents: Agents;
  readonly base: BaseImage;
}

type Scope = BuildRequest['scope'] | 'missing';

export interface Brought {
  readonly chain: Chain;
  /** Of what is there now, by tag. */
  readonly labels: ReadonlyMap<string, Labels>;
  /** Tags that were built for this. */
  readonly built: readonly string[];
}

/** From a request to images that are there: asks the engine once, builds what is missing or stale, in order. */
export class ChainBuilder {
  readonly #deps: ChainBuilderDeps;
  readonly #layers: LayerBuilder;
  readonly #bringing = new SharedWorks<Brought>();
  readonly #bases = new SharedWorks<Parent>();
  /** What the engine said, by the names it was asked for. */
  readonly #trusted = new Map<
    string,
    { readonly labels: ReadonlyMap<string, Labels>; readonly atMs: number }
  >();

  constructor(deps: ChainBuilderDeps) {
    this.#deps = deps;
    this.#layers = new LayerBuilder(deps);
  }

  /** Sees to it that these parts are there. */
  async bring(
    request: ImageRequest,
    parts: readonly Part[],
    scope: Scope,
    progress: Progress,
    signal: AbortSignal | undefined,
  ): Promise<Brought> {
    const planned = await planRequest(this.#deps, request);
    if (scope === 'missing') {
      const present = this.#allCurrent(planned, parts, this.#trustedLabels(planned, parts));
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
    const present = new Map(await this.#ask(planned, parts, signal));
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
      const refresh =
        layer.kind === 'l0' ? refreshes.l0 : layer.kind === 'sidecar' ? refreshes.sidecar : refreshes.l1;
      const manner = { refresh, isForced, noCache: scope === 'full' };
      present.set(layer.tag, await this.#layers.build(layer, manner, progress, signal));
      built.push(layer.tag);
    }
    this.#trusted.clear();
    for (const image of startedFrom(chain).filter((tag) => built.includes(tag)))
      await this.#warm(image, progress, signal);
    return { chain, labels: present, built };
  }

  /**
   * Without root, the first container of an image copies it to the ids that tasks have: 15 s for all agents. That is
   * part of building it, so that no task waits.
   */
  async #warm(image: string, progress: Progress, signal: AbortSignal): Promise<void> {
    const { engine } = this.#deps;
    progress(`Preparing ${image} for its first task`);
    const idMapping = engine.idMapping(TASK_USER);
    await engine.runOnce({ image, command: ['true'], idMapping, timeoutMs: WARM_MS }, signal);
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
  async #ask(
    planned: PlannedRequest,
    parts: readonly Part[],
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<string, Labels>> {
    const names = this.#names(planned, parts);
    const labels = await this.#deps.engine.labelsOf(names, signal);
    this.#trusted.set(names.join(' '), { labels, atMs: this.#deps.monotonicMs() });
    return labels;
  }

  #trustedLabels(planned: PlannedRequest, parts: readonly Part[]): ReadonlyMap<string, Labels> | undefined {
    const now = this.#deps.monotonicMs();
    for (const [key, { atMs }] of this.#trusted) if (now - atMs >= TRUST_MS) this.#trusted.delete(key);
    return this.#trusted.get(this.#names(planned, parts).join(' '))?.labels;
  }

  #names({ inputs, base }: PlannedRequest, parts: readonly Part[]): readonly string[] {
    const bases = this.#deps.base.candidates(base);
    return [...new Set([...bases, ...bases.flatMap((tag) => chainTags(inputs, tag, parts))])];
  }

  /** What is there of a request, and what would have to be built. Builds nothing. */
  async look(
    request: ImageRequest,
    signal?: AbortSignal,
  ): Promise<{
    readonly planned: PlannedRequest;
    readonly chain: Chain | undefined;
    readonly labels: ReadonlyMap<string, Labels>;
  }> {
    const planned = await planRequest(this.#deps, request);
    const labels = await this.#ask(planned, ['l1', 'l2'], signal);
    const base = this.#deps.base.choose(planned.base, labels);
    return { planned, chain: base === undefined ? undefined : this.#chain(planned, base, labels), labels };
  }

  /** Whether images are being built, whose steps look like leftovers meanwhile. */
  get isBusy(): boolean {
    return this.#layers.isBusy;
  }

  async takeUpLeftovers(): Promise<void> {
    await this.#layers.takeUpLeftovers();
  }

  /** The engine is asked anew next time. */
  forget(): void {
    this.#trusted.clear();
  }
}

/** Tags of images that containers of tasks are made from. */
const startedFrom = ({ l1, l2, dev }: Chain): readonly string[] => [
  (l2 ?? l1).tag,
  ...(dev === undefined ? [] : [dev.tag]),
];

/** The layers that are wanted, each after what it stands on. */
export function layersOf({ l0, l1, l2, dev, sidecar }: Chain, parts: readonly Part[]): readonly Layer[] {
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
