import { CommandError, RuntimeError } from '../core/errors.ts';
import { KeyedMutex } from '../core/keyed-mutex.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { type ContainerEngine, type ImageBuild, LABEL, type Progress } from '../engine/contract.ts';
import type { AgentSelection } from './agent-selection.ts';
import { dockerfileOf, makeBuildContext } from './build-context-store.ts';
import { followBuild } from './build-progress.ts';
import type { Inventory } from './contract.ts';
import { BUILD_SETTINGS } from './host-settings.ts';
import type { HostSettingsStore } from './host-settings-store.ts';
import { inventoryCommand, inventoryLabels, labelLine, readInventory } from './inventory.ts';
import { loadInventoryScript } from './layer-loader.ts';
import { type ContextFile, isCurrent, type Labels, type Layer } from './layers.ts';
import { BUILD_DOWNLOADS, type NodeArchiveStore } from './node-archive-store.ts';
import { sweepScratch } from './scratch-store.ts';
import { SharedWorks } from './shared-work.ts';

const PROGRESS_MS = 2_000;
const INVENTORY_MS = 180_000;

export interface LayerBuilderDeps {
  readonly engine: ContainerEngine;
  readonly settings: HostSettingsStore;
  readonly nodeArchives: NodeArchiveStore;
  readonly resources: string;
  /** Whose project images are, where instances share a store. */
  readonly instance: string;
  /** Where build contexts are written for the time of a build. */
  readonly cache: string;
  /** Milliseconds on a clock that never goes back. */
  readonly monotonicMs: () => number;
}

export interface BuildManner {
  /** Marks the build: another value installs anew what moves. */
  readonly refresh: string;
  /** Even when the tag holds this very content already. */
  readonly isForced: boolean;
  readonly noCache: boolean;
}

interface Step {
  readonly tag: string | undefined;
  readonly dockerfile: string;
  readonly files: readonly ContextFile[];
  readonly volumes: ImageBuild['volumes'];
  readonly buildArguments: Readonly<Record<string, string>>;
}

/**
 * Builds layers. INVARIANT: a tag is given to a complete image alone, in the last step of its build; a build that
 * fails or is cancelled leaves every tag as it was.
 */
export class LayerBuilder {
  readonly #deps: LayerBuilderDeps;
  readonly #works = new SharedWorks<Labels>();
  readonly #tags = new KeyedMutex();
  #busy = 0;

  constructor(deps: LayerBuilderDeps) {
    this.#deps = deps;
  }

  /**
   * Once for all who want the same now; two different contents of one tag one after the other. Returns the labels of
   * the image. Throws CommandError naming the layer, with the last lines.
   */
  async build(layer: Layer, manner: BuildManner, progress: Progress, signal?: AbortSignal): Promise<Labels> {
    const { refresh, isForced, noCache } = manner;
    const key = JSON.stringify([layer.tag, layer.contentHash, refresh, isForced, noCache]);
    const work = (report: Progress, shared: AbortSignal): Promise<Labels> =>
      this.#tags.run(layer.tag, async () => {
        shared.throwIfAborted();
        const present = isForced ? undefined : await this.#present(layer.tag, shared);
        if (present !== undefined && isCurrent(layer, present)) return present;
        return await this.#build(layer, manner, report, shared);
      });
    this.#busy += 1;
    try {
      return await this.#works.join(key, work, progress, signal);
    } finally {
      this.#busy -= 1;
    }
  }

  /** Whether an image is being built, or waits for its turn. */
  get isBusy(): boolean {
    return this.#busy > 0;
  }

  /** Ends the builds of processes that are gone, and removes their directories, where secrets may lie. */
  async takeUpLeftovers(): Promise<void> {
    const { cache, engine } = this.#deps;
    await sweepScratch(cache, async (directory) => await engine.abandonBuild(dockerfileOf(directory)));
  }

  async #present(tag: string, signal: AbortSignal): Promise<Labels | undefined> {
    return (await this.#deps.engine.labelsOf([tag], signal)).get(tag);
  }

  async #build(layer: Layer, manner: BuildManner, progress: Progress, signal: AbortSignal): Promise<Labels> {
    progress(`Building ${layer.tag}`);
    const labels: Labels = {
      [LABEL.content]: layer.contentHash,
      [LABEL.base]: layer.base,
      [LABEL.layer]: layer.kind,
      [LABEL.refresh]: manner.refresh,
      ...(layer.project === undefined
        ? {}
        : { [LABEL.project]: layer.project, [LABEL.instance]: this.#deps.instance }),
    };
    const run = async (step: Step): Promise<string> => {
      try {
        return await this.#run(step, manner, progress, signal);
      } catch (error) {
        throw explain(layer, error);
      }
    };
    const hasNode = layer.needsNode && (await this.#provideNode(progress, signal));
    await using settings = await this.#deps.settings.mount({ withNpm: wantsNpm(layer) }, signal);
    const step = {
      dockerfile: layer.dockerfile,
      files: layer.files,
      volumes: [
        { hostPath: settings.directory, containerPath: BUILD_SETTINGS, readOnly: true },
        ...(hasNode
          ? [{ hostPath: this.#deps.nodeArchives.directory, containerPath: BUILD_DOWNLOADS, readOnly: true }]
          : []),
      ],
      buildArguments: buildArguments(layer, manner, hasNode, settings.variables),
    };
    if (layer.agents === undefined) {
      await run({ ...step, tag: layer.tag, dockerfile: `${layer.dockerfile}\n${labelLine(labels)}` });
      return labels;
    }
    // Otherwise it would pass for what it stands on, whose labels it has, should it never come to the tag.
    const interim = labelLine({ [LABEL.layer]: layer.kind });
    const id = await run({ ...step, tag: undefined, dockerfile: `${layer.dockerfile}\n${interim}` });
    progress(`Looking at what is in ${layer.tag}`);
    const inventory = await this.#takeInventory(id, layer, layer.agents, signal);
    for (const { name, reason } of inventory.skipped) progress(`${name} is left out: ${reason}`);
    const complete = { ...labels, ...inventoryLabels(inventory) };
    const dockerfile = `FROM ${id}\n${labelLine(complete)}`;
    await run({ tag: layer.tag, dockerfile, files: [], volumes: [], buildArguments: {} });
    return complete;
  }

  async #run(step: Step, manner: BuildManner, progress: Progress, signal: AbortSignal): Promise<string> {
    await using context = await makeBuildContext(this.#deps.cache, step);
    const follow = followBuild(progress, { monotonicMs: this.#deps.monotonicMs, intervalMs: PROGRESS_MS });
    return await this.#deps.engine.build(
      {
        tag: step.tag,
        dockerfile: context.dockerfile,
        context: context.directory,
        labels: {},
        volumes: step.volumes,
        noCache: manner.noCache,
        buildArguments: step.buildArguments,
      },
      follow,
      signal,
    );
  }

  /** Without Node the agents that need it are left out, by name, as with any package that cannot be had. */
  async #provideNode(progress: Progress, signal: AbortSignal): Promise<boolean> {
    try {
      const { settings, nodeArchives, resources } = this.#deps;
      await nodeArchives.provide(resources, settings.packageEnvironment(), progress);
      signal.throwIfAborted();
      return true;
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code === 'CANCELLED') throw error;
      const why = error.details?.trim().split('\n').at(-1) ?? '';
      progress(
        `Node cannot be fetched, so agents that need it are left out: ${cleanLine(`${error.message}. ${why}`)}`,
      );
      return false;
    }
  }

  async #takeInventory(
    image: string,
    layer: Layer,
    agents: AgentSelection,
    signal: AbortSignal,
  ): Promise<Inventory> {
    if (agents.entries.length === 0) return readInventory('', agents);
    const command = inventoryCommand(await loadInventoryScript(this.#deps.resources), agents);
    try {
      const output = await this.#deps.engine.runOnce({ image, command, timeoutMs: INVENTORY_MS }, signal);
      return readInventory(output, agents);
    } catch (error) {
      throw explain(layer, error);
    }
  }
}

const wantsNpm = (layer: Layer): boolean => layer.needsNode || layer.project !== undefined;

function buildArguments(
  layer: Layer,
  { refresh }: BuildManner,
  hasNode: boolean,
  variables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  switch (layer.kind) {
    case 'l0':
      return { PACKAGE_CACHE_BUST: refresh };
    case 'l1':
    case 'sidecar':
      return {
        AGENT_CACHE_BUST: refresh,
        ...(layer.needsNode ? { NODE_ARCHIVES: hasNode ? 'present' : 'absent' } : {}),
      };
    case 'l2':
    case 'dev':
      return variables;
  }
}

function explain(layer: Layer, error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  return new CommandError(`The image layer ${layer.tag} could not be built`, {
    hint:
      layer.project === undefined
        ? 'Run "terok-mcp setup" once the cause named below is gone.'
        : "See to the project's Dockerfile lines (docker.user_snippet_file, docker.user_snippet_inline).",
    details: error.details,
    cause: error,
  });
}
