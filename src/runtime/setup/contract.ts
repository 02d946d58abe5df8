import type { Finding } from '../doctor/contract.ts';

/** One thing the host must have. `check` never changes anything; `apply` is called only when `check` is not ok. */
export interface SetupStep {
  readonly id: string;
  /** Shown while it runs: "Installing podman, nftables, …". */
  readonly title: string;
  check(signal?: AbortSignal): Promise<Finding>;
  /** Throws HostError, with one line saying what a person must do, when this user cannot do it. */
  apply(progress: (message: string) => void, signal?: AbortSignal): Promise<void>;
}

export interface Setup {
  /** `check: true` changes nothing. The result has one finding a step, after any change. */
  run(
    options: { readonly check: boolean; readonly progress: (message: string) => void },
    signal?: AbortSignal,
  ): Promise<readonly Finding[]>;
}
