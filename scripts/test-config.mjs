import { chownSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root } from './bootstrap.mjs';

/** A throw-away configuration directory that names the agents tests need, for a set-up that runs as this user. */
export async function withTestConfig(uid, use) {
  const directory = mkdtempSync('/tmp/tkc-');
  try {
    copyFileSync(path.join(root, 'test/support/config/config.yml'), path.join(directory, 'config.yml'));
    if (uid !== undefined) {
      for (const file of [directory, path.join(directory, 'config.yml')]) chownSync(file, uid, -1);
    }
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
