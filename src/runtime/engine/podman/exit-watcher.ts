import { mkdirSync, watch } from 'node:fs';
import path from 'node:path';

/**
 * Calls back when a container of this Podman store may have ended. conmon writes a file named after the
 * container into `<tmpdir>/exits` the moment its process is gone. The file is only a hint (its name and
 * content are ignored): whoever is woken asks Podman. A slow poll covers a missed hint.
 */
export function watchExits(tmpDir: string, pollMs: number, listener: () => void): () => void {
  const exits = path.join(tmpDir, 'exits');
  mkdirSync(exits, { recursive: true, mode: 0o751 });
  const watcher = watch(exits, { persistent: false }, () => listener());
  watcher.on('error', () => undefined);
  const poll = setInterval(listener, pollMs);
  poll.unref();
  return () => {
    watcher.close();
    clearInterval(poll);
  };
}
