import type { Agents } from '../agents/contract.ts';
import { LABEL } from '../engine/contract.ts';
import { selectAgents, selectSidecarTools } from './agent-selection.ts';
import { baseName, packageFamily } from './base-name.ts';
import { LOCAL_BASE } from './base-recipe.ts';
import type { ImageRequest } from './contract.ts';
import { type LayerInputs, l0Layer, l1Layer, projectLayer, sidecarLayer } from './dockerfile.ts';
import { loadLayerSources } from './layer-loader.ts';
import { type Labels, type Layer, layerTags, type Parent, projectTags } from './layers.ts';
import { loadSnippet } from './snippet-loader.ts';

/** All that is known of a request from files alone. */
export interface PlannedRequest {
  readonly inputs: LayerInputs;
  /** Full name of the base that was asked for; undefined: ours to choose. */
  readonly base: string | undefined;
}

/** The layers of a request on a base. */
export interface Chain {
  readonly base: Parent;
  readonly l0: Layer;
  readonly l1: Layer;
  /** Undefined without a snippet. */
  readonly l2: Layer | undefined;
  readonly dev: Layer | undefined;
  readonly sidecar: Layer;
}

/** Marks of the builds that the layers come from, or shall come from. */
export interface Refreshes {
  readonly l0: string;
  readonly l1: string;
  readonly sidecar: string;
}

const NEVER_REFRESHED = '0';

/** Reads the files. Throws InvalidInputError or NotFoundError for what is wrong in a person's settings. */
export async function planRequest(
  deps: { readonly agents: Agents; readonly resources: string },
  request: ImageRequest,
): Promise<PlannedRequest> {
  const base = baseName(request.docker);
  const family = packageFamily(base ?? LOCAL_BASE, request.docker);
  const [roster, snippet] = await Promise.all([deps.agents.roster(), loadSnippet(request)]);
  const agents = selectAgents(roster, request.docker.agents, family);
  const sidecarTools = selectSidecarTools(roster, family);
  const programs = [...agents.entries, ...sidecarTools.entries].flatMap(({ install }) => install.bundled);
  const sources = await loadLayerSources({
    resources: deps.resources,
    programs: [...new Set(programs)].sort(),
  });
  const names = [...agents.entries, ...agents.skipped].map(({ name }) => name);
  return {
    inputs: {
      sources,
      family,
      agents,
      selection: request.docker.agents === 'all' ? 'all' : names,
      sidecarTools,
      project: request.project?.id,
      snippet,
    },
    base,
  };
}

/** Parts of a chain above L0. */
export type Part = 'l1' | 'l2' | 'dev' | 'sidecar';

/** Tags that these parts of a chain on this base have, and what they stand on, whatever is in them. */
export function chainTags(
  { selection, project, snippet }: LayerInputs,
  base: string,
  parts: readonly Part[],
): readonly string[] {
  const { l0, l1, sidecar } = layerTags(base, selection);
  const projects = project === undefined || snippet === undefined ? undefined : projectTags(project);
  const tags: Readonly<Record<Part, string | undefined>> = {
    l1,
    sidecar,
    l2: projects?.l2,
    dev: projects?.dev,
  };
  return [l0, ...parts.flatMap((part) => tags[part] ?? [])];
}

/** The marks of the builds that are there; a layer that is not takes that of what it will stand on. */
export function presentRefreshes(
  inputs: LayerInputs,
  base: string,
  labels: ReadonlyMap<string, Labels>,
): Refreshes {
  const tags = layerTags(base, inputs.selection);
  const l0 = labels.get(tags.l0)?.[LABEL.refresh] ?? NEVER_REFRESHED;
  const of = (tag: string): string => labels.get(tag)?.[LABEL.refresh] ?? l0;
  return { l0, l1: of(tags.l1), sidecar: of(tags.sidecar) };
}

/** Each layer is stale when what is below it is another, be it only because that was built anew. */
export function planChain(inputs: LayerInputs, base: Parent, refreshes: Refreshes): Chain {
  const l0 = l0Layer(inputs, base);
  const onL0 = { tag: l0.tag, content: `${l0.contentHash} ${refreshes.l0}` };
  const l1 = l1Layer(inputs, base.tag, onL0);
  const onL1 = { tag: l1.tag, content: `${l1.contentHash} ${refreshes.l1}` };
  return {
    base,
    l0,
    l1,
    l2: projectLayer('l2', inputs, base.tag, onL1),
    dev: projectLayer('dev', inputs, base.tag, onL0),
    sidecar: sidecarLayer(inputs, base.tag, onL0),
  };
}
