import type { Progress } from '../engine/contract.ts';

export interface ReadyImages {
  /** The base as it is: `docker.io/library/ubuntu:24.04`, or a local Debian tagged as such. */
  readonly base: string;
  readonly l0: string;
  readonly l1: string;
}

export interface Images {
  /** Builds what is missing or stale; concurrent callers share one build. No engine build when nothing changed. */
  ensure(progress: Progress, signal?: AbortSignal): Promise<ReadyImages>;
  /** Which of the layers would be built, without building: for `setup --check` and `doctor`. */
  plan(signal?: AbortSignal): Promise<{ readonly missing: readonly string[] }>;
  /**
   * Whether `ensure` would surely have to build a base image here, for which the host needs mmdebstrap (where a
   * pull may help, set-up sees to that when it has failed). `mayAskEngine` false: answers without touching the engine, as before the first set-up.
   */
  wouldBuildBase(options: { readonly mayAskEngine: boolean }, signal?: AbortSignal): Promise<boolean>;
}
