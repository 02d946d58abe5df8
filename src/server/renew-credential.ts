import { text } from 'node:stream/consumers';
import type { Host } from './host.ts';

/**
 * Renews one token for a daemon that may be gone before the answer is there: started by it, in a session of its own,
 * with its orders on standard input. Nothing is printed.
 */
export async function renewCredential(host: Host): Promise<number> {
  // An answer that is on its way is not given up for a shutdown: it may be the only token that counts.
  host.onSignal(() => undefined);
  const { renewal } = await import('../runtime/create-renewal.ts');
  await renewal.carryOut(await text(host.stdin), host);
  return 0;
}
