import { createHash } from 'node:crypto';

/** One file that a layer's Dockerfile copies. */
export interface ContextFile {
  readonly name: string;
  readonly content: string;
  readonly isExecutable: boolean;
}

/** A layer as a value: what `podman build` gets, and a hash that changes whenever any of it does. */
export interface Layer {
  readonly tag: string;
  readonly dockerfile: string;
  readonly files: readonly ContextFile[];
  readonly contentHash: string;
}

/** An image to build upon. `content` is unknown for images we did not make. */
export interface Parent {
  readonly tag: string;
  readonly content: string | undefined;
}

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
 */
export function layerTags(baseImage: string): { readonly l0: string; readonly l1: string } {
  const tag = baseTag(baseImage);
  return { l0: `localhost/terok-l0:${tag}`, l1: `localhost/terok-l1-cli:${tag}` };
}

/** Everything that decides what is in an image, as one hash. The order of files does not matter. */
export function contentHash(input: {
  readonly dockerfile: string;
  readonly files: readonly ContextFile[];
  readonly parent: Parent;
}): string {
  const files = [...input.files].sort((a, b) => (a.name < b.name ? -1 : 1));
  return sha256(
    JSON.stringify([
      input.dockerfile,
      input.parent.tag,
      input.parent.content ?? '',
      files.map((file) => [file.name, file.isExecutable, sha256(file.content)]),
    ]),
  );
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
