import type { Diff, PatchPage, TaskBranch } from '../gate/contract.ts';

export interface PromoteInput {
  readonly project: string;
  readonly branch: string;
  readonly head: string;
  readonly target?: string | undefined;
}

export type PromoteOutcome =
  | {
      readonly outcome: 'promoted';
      readonly target: string;
      readonly head: string;
      readonly previous: string | undefined;
    }
  /** The project wants a person's word: nothing has moved yet. */
  | {
      readonly outcome: 'awaiting_approval';
      readonly approval: string;
      readonly expiresAt: string;
      readonly target: string;
      readonly head: string;
    };

/** Looking at what came back, and letting it on: joins projects, gate, approvals and the event log. */
export interface Review {
  branches(project: string, task?: string, signal?: AbortSignal): Promise<readonly TaskBranch[]>;
  diff(
    input: {
      readonly project: string;
      readonly branch: string;
      readonly base?: string | undefined;
      /** As DiffRequest says. */
      readonly target?: string | undefined;
    },
    signal?: AbortSignal,
  ): Promise<Diff>;
  patch(
    input: {
      readonly project: string;
      readonly branch: string;
      readonly base?: string | undefined;
      readonly offset: number;
      readonly maxChars: number;
    },
    signal?: AbortSignal,
  ): Promise<PatchPage>;
  /**
   * Promotes, or parks an approval, as the project's `promotion.approval` says (PolicyError when `disabled`).
   * A repeated call after the approval was given answers `promoted`. PolicyError where anything it would publish
   * holds a credential of the vault, HostError where that cannot be known because the vault is locked.
   */
  promote(input: PromoteInput, signal?: AbortSignal): Promise<PromoteOutcome>;
}
