import { type ImageState, LABEL } from '../engine/contract.ts';
import type { ImageRecord } from './contract.ts';

type Layer = ImageRecord['layer'];
const LAYERS: ReadonlySet<string> = new Set<Layer>(['base', 'l0', 'l1', 'l2', 'dev', 'sidecar']);
/** What is removed first: an image whose children are there cannot go. */
const ORDER: readonly Layer[] = ['l2', 'dev', 'sidecar', 'l1', 'l0', 'base'];

/**
 * Images of ours among those with our label, and what has become of them (pure). Labels are handed down, so an image
 * that a person made on top of ours has them too: with a name of theirs it is not ours, and keeps what it stands on.
 *
 * @param context.projects Those of this instance. A project image of another instance on the same store is needed as
 *   far as we know, and so is one that does not say whose it is.
 * @param context.bases Names of base images that are there.
 */
export function describeImages(
  images: readonly ImageState[],
  context: {
    readonly instance: string;
    readonly projects: readonly string[];
    readonly bases: ReadonlySet<string>;
  },
): readonly ImageRecord[] {
  const children = new Map<string, ImageState[]>();
  for (const image of images) {
    if (image.parentId === undefined) continue;
    children.set(image.parentId, [...(children.get(image.parentId) ?? []), image]);
  }
  const records = new Map<string, ImageRecord>();
  const isNeeded = (image: ImageState): boolean =>
    (children.get(image.id) ?? []).some((child) => {
      const record = records.get(child.id) ?? describe(child);
      return record === undefined ? child.tags.length > 0 || isNeeded(child) : record.state === 'used';
    });
  const describe = (image: ImageState): ImageRecord | undefined => {
    const known = records.get(image.id);
    if (known !== undefined) return known;
    const layer = layerOf(image);
    if (layer === undefined || !isOurs(image, layer)) return undefined;
    const hasChildren = children.has(image.id);
    // A step of a build; it goes with the image it led to.
    if (image.tags.length === 0 && hasChildren) return undefined;
    const project = image.labels[LABEL.project];
    const base = image.labels[LABEL.base];
    const isOrphan =
      layer === 'l2' || layer === 'dev'
        ? image.labels[LABEL.instance] === context.instance &&
          (project === undefined || !context.projects.includes(project))
        : layer !== 'base' && base !== undefined && !context.bases.has(base) && !isNeeded(image);
    const record: ImageRecord = {
      id: image.id,
      tags: image.tags,
      layer,
      project: layer === 'l2' || layer === 'dev' ? project : undefined,
      sizeBytes: image.sizeBytes,
      createdAt: image.createdAt,
      state: image.tags.length === 0 ? 'dangling' : isOrphan ? 'orphaned' : 'used',
    };
    records.set(image.id, record);
    return record;
  };
  return images
    .flatMap((image) => describe(image) ?? [])
    .sort((a, b) => (a.createdAt === b.createdAt ? 0 : a.createdAt < b.createdAt ? 1 : -1));
}

/** Those to remove, in an order in which it can be done. */
export function removable(records: readonly ImageRecord[]): readonly ImageRecord[] {
  return records
    .filter(({ state }) => state !== 'used')
    .sort((a, b) => ORDER.indexOf(a.layer) - ORDER.indexOf(b.layer));
}

const TAGS: Readonly<Record<Layer, RegExp>> = {
  base: /^localhost\/terok-base:/,
  l0: /^localhost\/terok-l0:/,
  l1: /^localhost\/terok-l1-cli:/,
  sidecar: /^localhost\/terok-l1-sidecar:/,
  l2: /^localhost\/[^/:]+:l2-cli$/,
  dev: /^localhost\/[^/:]+:l2-dev$/,
};

const isOurs = (image: ImageState, layer: Layer): boolean => image.tags.every((tag) => TAGS[layer].test(tag));

/** By its label; images of earlier releases have names alone. */
function layerOf({ labels, tags }: ImageState): Layer | undefined {
  const label = labels[LABEL.layer];
  const known = ORDER.find((layer) => layer === label);
  if (known !== undefined || (label !== undefined && !LAYERS.has(label))) return known;
  return ORDER.find((layer) => tags.some((tag) => TAGS[layer].test(tag))) ?? 'l0';
}
