import { type Paths, resolvePaths } from '../runtime/core/paths.ts';
import type { Host } from './host.ts';

export function pathsOf(host: Host): Paths {
  return resolvePaths({ env: host.env, home: host.home, uid: host.uid, ownsDirectory: host.ownsDirectory });
}
