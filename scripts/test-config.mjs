import { chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './bootstrap.mjs';

/**
 * A throw-away configuration directory for a set-up that runs as this user: it names the agents that most tests need,
 * or `all` of them.
 */
export async function withTestConfig(uid, use, agents = 'few') {
  const directory = mkdtempSync('/tmp/tkc-');
  try {
    copyFileSync(path.join(root, 'test/support/config/config.yml'), path.join(directory, 'config.yml'));
    if (agents === 'all') writeFileSync(path.join(directory, 'config.yml'), 'docker:\n  agents: all\n');
    if (uid !== undefined) {
      for (const file of [directory, path.join(directory, 'config.yml')]) chownSync(file, uid, -1);
    }
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
