import { createHash } from 'node:crypto';
import { LABEL } from '../engine/contract.ts';
import type { AgentSelection } from './agent-selection.ts';
import type { ImageRecord } from './contract.ts';
import { inventoryOf } from './inventory.ts';

/** One file that a layer's Dockerfile copies or mounts; `name` may have directories. */
export interface ContextFile {
  readonly name: string;
  readonly content: string;
  readonly isExecutable: boolean;
}

/** A layer as a value: what `podman build` gets, and a hash that changes whenever any of it does. */
export interface Layer {
  readonly kind: Exclude<ImageRecord['layer'], 'base'>;
  readonly tag: string;
  readonly dockerfile: string;
  readonly files: readonly ContextFile[];
  readonly contentHash: string;
  /** Tag of the image below all layers. */
  readonly base: string;
  readonly project: string | undefined;
  /** What must be looked for once it is built; undefined where no agents are installed. */
  readonly agents: AgentSelection | undefined;
  readonly needsNode: boolean;
}

/** An image to build upon. `content` is unknown for images we did not make. */
export interface Parent {
  readonly tag: string;
  readonly content: string | undefined;
}

export type Labels = Readonly<Record<string, string>>;

/** Whether an image with these labels is this layer. */
export const isCurrent = (layer: Layer, labels: Labels | undefined): boolean =>
  labels?.[LABEL.content] === layer.contentHash &&
  (layer.agents === undefined || inventoryOf(labels) !== undefined);

const MAX_TAG_LENGTH = 120;

/**
 * The part of a layer's tag that names its base: `docker.io/library/ubuntu:24.04` gives `ubuntu-24.04`, and
 * our own `localhost/terok-base:debian-trixie` gives `debian-trixie`. Always a valid image tag.
 */
export function baseTag(baseImage: string): string {
  const short = baseImage.replace(/^localhost\/terok-base:/, '').replace(/^docker\.io\/(?:library\/)?/, '');
  const tag = short
    .trim()
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .toLowerCase();
  if (tag === '') return 'base';
  if (tag.length <= MAX_TAG_LENGTH) return tag;
  return `${tag.slice(0, 111)}-${sha256(short).slice(0, 8)}`;
}

/**
 * Tags of the layers on a base. `localhost/` in front: without a registry's name Podman would look for a
 * missing image in public registries, where anybody may have taken the name.
 *
 * @param agents Names of the agents in the image, or all of them.
 */
export function layerTags(
  baseImage: string,
  agents: 'all' | readonly string[],
): { readonly l0: string; readonly l1: string; readonly sidecar: string } {
  const tag = baseTag(baseImage);
  return {
    l0: `localhost/terok-l0:${tag}`,
    l1: `localhost/terok-l1-cli:${agents === 'all' ? tag : selectionTag(tag, agents)}`,
    sidecar: `localhost/terok-l1-sidecar:${tag}`,
  };
}

export function projectTags(project: string): { readonly l2: string; readonly dev: string } {
  return { l2: `localhost/${project}:l2-cli`, dev: `localhost/${project}:l2-dev` };
}

function selectionTag(base: string, agents: readonly string[]): string {
  const names = [...new Set(agents)].sort();
  const spelled = `${base}-${names.join('-')}`;
  // A name with "-" in it could be two: then only a hash tells selections apart.
  if (spelled.length <= MAX_TAG_LENGTH && !names.some((name) => name.includes('-'))) return spelled;
  return `${spelled.slice(0, 111)}-${sha256(names.join(' ')).slice(0, 8)}`;
}

/** Everything that decides what is in an image, as one hash. The order of files does not matter. */
export function contentHash(input: {
  readonly dockerfile: string;
  readonly files: readonly ContextFile[];
  readonly parent: Parent;
}): string {
  return sha256(
    JSON.stringify([input.dockerfile, input.parent.tag, input.parent.content ?? '', digest(input.files)]),
  );
}

export function digest(files: readonly ContextFile[]): string {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  return sha256(JSON.stringify(sorted.map((file) => [file.name, file.isExecutable, sha256(file.content)])));
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
