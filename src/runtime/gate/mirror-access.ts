import type { KeyedMutex } from '../core/keyed-mutex.ts';
import type { HostGit } from './host-git.ts';
import type { MirrorStore } from './mirror-store.ts';
import type { Upstream } from './upstream.ts';

/** What it takes to move refs of a mirror together with its upstream. */
export interface MirrorAccess {
  readonly git: HostGit;
  readonly mirrors: MirrorStore;
  readonly upstream: Upstream;
  /** Held, by project, while refs of the mirror are compared and changed. */
  readonly refLocks: KeyedMutex;
}
