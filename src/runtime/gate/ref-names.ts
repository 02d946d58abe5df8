import { branchNameProblem } from '../core/branch-name.ts';

/** Where each thing lives in the mirror; see the picture in `contract.ts`. Pure text, both ways. */
export const HEADS = 'refs/heads/';
export const TAGS = 'refs/tags/';
export const UPSTREAM = 'refs/terok/upstream/';
/** One ref per task that has its namespace: written last when it opens, removed last when it closes. */
export const OPENED = 'refs/terok/opened/';
const NAMESPACES = 'refs/namespaces/';
const SEED = 'refs/terok/seed/';
const PROMOTED = 'refs/terok/promoted/';

export const namespaceOf = (task: string): string => `${NAMESPACES}${task}/`;
export const namespaceHeads = (task: string): string => `${NAMESPACES}${task}/refs/heads/`;
export const namespaceTags = (task: string): string => `${NAMESPACES}${task}/refs/tags/`;
export const namespaceHead = (task: string): string => `${NAMESPACES}${task}/HEAD`;
/** Where the namespace's branches stood when the task began: what still stands there is not the task's work. */
export const seedOf = (task: string): string => `${SEED}${task}/`;
export const publishedHeads = (task: string): string => `${HEADS}${task}/`;
export const promotedOf = (task: string): string => `${PROMOTED}${task}/`;
export const openedMarker = (task: string): string => `${OPENED}${task}`;

/**
 * Heads that a push replaced or deleted, by moment: `<task>/<stamp>/<branch>`. The stamp stands before the
 * branch, so that no branch name can collide with an older backup.
 */
export const backupOf = (task: string, stamp: string): string => `refs/terok/backup/${task}/${stamp}/`;
export const archiveOf = (task: string): string => `refs/terok/archive/${task}/`;

/** Everything that exists for one task and goes with it. Backups and the archive stay. */
export const refsOfTask = (task: string): readonly string[] => [
  namespaceOf(task),
  seedOf(task),
  publishedHeads(task),
  promotedOf(task),
  openedMarker(task),
];

/** Prefixes under which the next part of a name is a task. */
export const TASK_PREFIXES: readonly string[] = [NAMESPACES, SEED, PROMOTED, OPENED];

/** `k3f9a/fix/x` → task and the branch the agent chose. Undefined when it cannot be a task's branch. */
export function splitBranch(branch: string): { readonly task: string; readonly name: string } | undefined {
  const slash = branch.indexOf('/');
  if (slash < 1 || branchNameProblem(branch) !== undefined) return undefined;
  return { task: branch.slice(0, slash), name: branch.slice(slash + 1) };
}

/** A branch name that can be shown and reviewed under `refs/heads/<task>/`. */
export const isPublishable = (name: string): boolean => branchNameProblem(`00000/${name}`) === undefined;

/** First part of a ref below a prefix. */
export function firstPart(ref: string, prefix: string): string | undefined {
  if (!ref.startsWith(prefix)) return undefined;
  const rest = ref.slice(prefix.length);
  const slash = rest.indexOf('/');
  return slash < 0 ? rest : rest.slice(0, slash);
}
