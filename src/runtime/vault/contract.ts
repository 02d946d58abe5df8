import type { Secret } from '../core/secret.ts';

/** Real credentials, on the host only. */
export interface Vault {
  /** Fields of a stored credential (`key` of an API key); undefined where none is stored. Throws HostError when it cannot be read safely. */
  credential(name: string): Promise<ReadonlyMap<string, Secret> | undefined>;
  /** Stores an API key for an agent or tool of the roster, in place of an earlier one. */
  storeApiKey(name: string, key: Secret): Promise<void>;
  /** Forgets one. Says whether there was one. */
  remove(name: string): Promise<boolean>;
  /** Names that have one, sorted. Never a value. */
  names(): Promise<readonly string[]>;
}
