/** What one task may cost this machine. */
export interface GateLimits {
  /** Of one push, on the wire and unpacked from gzip. */
  readonly maxPushBytes: number;
  /** Requests served at the same time, each a few git processes. */
  readonly concurrentRequests: number;
  readonly waitingRequests: number;
  /** From a slot to the end of the answer. */
  readonly requestMs: number;
  /** A connection on which nothing moves is closed. */
  readonly idleMs: number;
  /** A request's head must be complete by then. */
  readonly headMs: number;
}

export const DEFAULT_GATE_LIMITS: GateLimits = {
  maxPushBytes: 2 * 1024 ** 3,
  concurrentRequests: 8,
  waitingRequests: 256,
  requestMs: 3_600_000,
  idleMs: 300_000,
  headMs: 20_000,
};
