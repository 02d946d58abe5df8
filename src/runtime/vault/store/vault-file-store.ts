import path from 'node:path';
import { openMigrated, type StateDatabase } from '../../core/database.ts';
import { HostError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { assertPrivateDirectory, createPrivateFile, isPrivateFile } from './private-file-store.ts';
import { VAULT_MIGRATIONS } from './vault-schema.ts';

const IF_DAMAGED =
  'It is damaged. Restore it from a backup, or move it aside and store the credentials again ("terok-mcp vault import" takes an export).';

/**
 * Opens (and migrates) `vault.db`. Throws HostError for one that others may read, that a newer release wrote (it is
 * left untouched), or that is damaged.
 */
export function openVaultFile(file: string): StateDatabase {
  assertPrivateDirectory(path.dirname(file));
  for (const companion of [`${file}-wal`, `${file}-shm`, `${file}-journal`]) isPrivateFile(companion);
  // Made by us and not by SQLite, so that no umask opens it for a moment.
  if (!isPrivateFile(file)) createPrivateFile(file, '');
  const database = openMigrated({ file, migrations: VAULT_MIGRATIONS, ifDamaged: IF_DAMAGED });
  try {
    if (database.pragma('quick_check', { simple: true }) !== 'ok') {
      throw new HostError(`${file} cannot be used: its tables are broken`, { hint: IF_DAMAGED });
    }
    // What was sealed under an earlier key must not stay in free pages.
    database.pragma('secure_delete = ON');
    return database;
  } catch (error) {
    database.close();
    if (error instanceof HostError) throw error;
    throw new HostError(`${file} cannot be read`, { hint: IF_DAMAGED, cause: error });
  }
}

/**
 * What was replaced or removed goes from the write-ahead log as well, where whoever has its key would open it. Where this
 * fails, as on a full disk, the change itself is done, and the next one takes both away.
 */
export function purgeLog(database: StateDatabase, log: Logger): void {
  try {
    database.pragma('wal_checkpoint(TRUNCATE)');
  } catch (error) {
    log.warn({ err: error }, 'what was removed from the vault is still in vault.db-wal');
  }
}
