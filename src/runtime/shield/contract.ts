import { isIP } from 'node:net';
import { z } from 'zod';

/** One thing a task may reach: an exact address, port and protocol. */
export const EgressRule = z.strictObject({
  address: z
    .string()
    .refine(
      (text) => isIP(text) !== 0,
      'an IPv4 or IPv6 address; names are refused, for a name is not an address',
    )
    .transform(canonicalAddress)
    .describe('IPv4 or IPv6 address'),
  port: z.int().min(1).max(65_535),
  protocol: z.enum(['tcp', 'udp']),
});
export type EgressRule = z.infer<typeof EgressRule>;

/** One spelling per address, the kernel's (RFC 5952). */
function canonicalAddress(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/** A destination the rules refused, as the kernel counted it: no text of the container's choosing in it. */
export interface RefusedConnection {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  /** Packets refused since the entry was made (entries leave the kernel ten minutes after their last packet). */
  readonly packets: number;
}

export interface ShieldStatus {
  /** `up`: namespace pinned and its rules are exactly ours. `down`: no namespace, so no network. */
  readonly state: 'up' | 'down' | 'altered';
  readonly allowed: readonly EgressRule[];
  readonly refused: readonly RefusedConnection[];
}

/**
 * The network of each task: a pinned network namespace with a default-deny ruleset, which exists before the
 * container does. INVARIANT: a namespace is pinned only with its rules loaded and read back; any failure on
 * the way removes the pin, and without a pin the engine refuses to start the container.
 */
export interface Shield {
  /** Returns the path to hand to the engine. Idempotent: rules of an existing pin are checked, the network revived. */
  raise(
    task: string,
    rules: readonly EgressRule[],
    signal?: AbortSignal,
  ): Promise<{ readonly networkPath: string }>;
  /**
   * Makes the opened destinations exactly these. Throws PolicyError for addresses that are never allowed
   * (loopback, link-local, metadata, multicast, reserved).
   */
  open(task: string, rules: readonly EgressRule[], signal?: AbortSignal): Promise<void>;
  status(task: string, rules: readonly EgressRule[], signal?: AbortSignal): Promise<ShieldStatus>;
  /** Removes network process and pin. Idempotent. */
  lower(task: string, signal?: AbortSignal): Promise<void>;
  /** Tasks that have a pin or a network process, for reconciling. */
  raised(): Promise<readonly string[]>;
  /**
   * Takes over the network of a running container: names it again if its pin vanished, mends the opened
   * destinations. Answers as `raise`. Throws PolicyError when its rules are not ours.
   */
  adopt(
    task: string,
    containerPid: number | undefined,
    rules: readonly EgressRule[],
    signal?: AbortSignal,
  ): Promise<{ readonly networkPath: string }>;
}
