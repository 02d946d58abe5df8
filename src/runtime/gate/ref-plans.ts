import {
  archiveOf,
  HEADS,
  isPublishable,
  namespaceHeads,
  namespaceTags,
  openedMarker,
  promotedOf,
  publishedHeads,
  refsOfTask,
  seedOf,
  TAGS,
  UPSTREAM,
} from './ref-names.ts';
import type { RefChange, RefMap } from './refs.ts';

/** One branch of a task that appeared, moved or went (`after` undefined); `name` without the task prefix. */
export interface BranchUpdate {
  readonly name: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** A namespace with upstream's branches and tags as they are now, and a record of where that was. */
export function planOpening(task: string, existing: RefMap): readonly RefChange[] {
  const changes: RefChange[] = [];
  const wanted = new Map<string, string>();
  for (const [ref, id] of existing) {
    if (ref.startsWith(UPSTREAM)) {
      const branch = ref.slice(UPSTREAM.length);
      wanted.set(`${namespaceHeads(task)}${branch}`, id);
      wanted.set(`${seedOf(task)}${branch}`, id);
    } else if (ref.startsWith(TAGS)) wanted.set(`${namespaceTags(task)}${ref.slice(TAGS.length)}`, id);
  }
  for (const [ref, id] of existing) {
    // Left by an interrupted opening, or a branch of upstream that stands where the task's branches will.
    const isOfTask =
      ref === `${HEADS}${task}` ||
      refsOfTask(task).some((prefix) => prefix.endsWith('/') && ref.startsWith(prefix));
    if (isOfTask && !wanted.has(ref)) changes.push({ kind: 'delete', ref, from: id });
  }
  for (const [ref, to] of wanted) if (existing.get(ref) !== to) changes.push({ kind: 'set', ref, to });
  return changes;
}

export interface Publication {
  readonly updates: readonly BranchUpdate[];
  /** What will be published, by name. */
  readonly wanted: RefMap;
  /** Branches past the limit: they stay in the namespace alone, until the task closes. */
  readonly unpublished: number;
}

/** More than anybody reviews; each one costs every later listing of the project. */
export const MAX_PUBLISHED = 200;

/**
 * What must change so that the published branches are the namespace's, those left where they began aside, and
 * those past the limit: the first by name are published.
 */
export function planPublication(task: string, existing: RefMap): Publication {
  const inNamespace = below(existing, namespaceHeads(task));
  const seeds = below(existing, seedOf(task));
  const published = below(existing, publishedHeads(task));
  const all = [...inNamespace]
    .filter(([name, id]) => seeds.get(name) !== id && isPublishable(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const wanted = new Map(all.slice(0, MAX_PUBLISHED));
  const names = [...new Set([...published.keys(), ...wanted.keys()])].sort();
  const updates = names
    .map((name) => ({ name, before: published.get(name), after: wanted.get(name) }))
    .filter(({ before, after }) => before !== after);
  return { updates, wanted, unpublished: all.length - wanted.size };
}

/** The unpromoted heads a task leaves, and the removal of all its refs, the marker separately. */
export function planClosing(
  task: string,
  existing: RefMap,
): {
  readonly heads: readonly { readonly name: string; readonly head: string }[];
  readonly removals: readonly RefChange[];
  readonly marker: readonly RefChange[];
} {
  const seeds = below(existing, seedOf(task));
  const promoted = below(existing, promotedOf(task));
  const heads = new Map<string, string>();
  for (const [name, head] of [
    ...below(existing, publishedHeads(task)),
    ...below(existing, namespaceHeads(task)),
  ]) {
    if (seeds.get(name) === head || promoted.get(name) === head) continue;
    heads.set(isPublishable(name) ? name : `unnamed-${head.slice(0, 12)}`, head);
  }
  const ours = [...existing].filter(([ref]) => !ref.startsWith(archiveOf(task)));
  const remove = ([ref, from]: readonly [string, string]): RefChange => ({ kind: 'delete', ref, from });
  return {
    heads: [...heads].map(([name, head]) => ({ name, head })),
    removals: ours.filter(([ref]) => ref !== openedMarker(task)).map(remove),
    marker: ours.filter(([ref]) => ref === openedMarker(task)).map(remove),
  };
}

function below(refs: RefMap, prefix: string): RefMap {
  return new Map(
    [...refs].filter(([ref]) => ref.startsWith(prefix)).map(([ref, id]) => [ref.slice(prefix.length), id]),
  );
}
