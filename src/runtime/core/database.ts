import { chmodSync } from 'node:fs';
import Database from 'better-sqlite3';
import { ConflictError, describeStorageFailure, HostError } from './errors.ts';

export type StateDatabase = Database.Database;

/**
 * One entry per schema version, applied in order and never edited after a release. `user_version` says how
 * many have run.
 */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE tasks (
     id TEXT PRIMARY KEY,
     project TEXT NOT NULL,
     name TEXT NOT NULL,
     mode TEXT NOT NULL,
     agent TEXT NOT NULL,
     restricted INTEGER NOT NULL,
     state TEXT NOT NULL,
     container TEXT NOT NULL,
     base_branch TEXT NOT NULL,
     exit_code INTEGER,
     failure TEXT,
     created_at TEXT NOT NULL,
     started_at TEXT,
     finished_at TEXT
   ) STRICT;
   CREATE INDEX tasks_by_project ON tasks (project, created_at);
   CREATE TABLE runs (
     id INTEGER PRIMARY KEY,
     task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
     prompt TEXT NOT NULL,
     created_at TEXT NOT NULL
   ) STRICT;
   CREATE TABLE events (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     at TEXT NOT NULL,
     project TEXT,
     task TEXT,
     actor TEXT NOT NULL,
     kind TEXT NOT NULL,
     data TEXT NOT NULL
   ) STRICT;
   CREATE INDEX events_by_task ON events (task, id);
   CREATE TABLE gate_tokens (
     task TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
     hash BLOB NOT NULL
   ) STRICT;
   CREATE TABLE egress_rules (
     task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
     address TEXT NOT NULL,
     port INTEGER NOT NULL,
     protocol TEXT NOT NULL,
     PRIMARY KEY (task, address, port, protocol)
   ) STRICT;
   CREATE TABLE approvals (
     id TEXT PRIMARY KEY,
     kind TEXT NOT NULL,
     project TEXT NOT NULL,
     subject TEXT NOT NULL,
     summary TEXT NOT NULL,
     state TEXT NOT NULL,
     requested_by TEXT NOT NULL,
     created_at TEXT NOT NULL,
     expires_at TEXT NOT NULL,
     settled_at TEXT,
     settled_by TEXT,
     outcome TEXT
   ) STRICT;
   CREATE UNIQUE INDEX one_open_approval ON approvals (kind, project, subject) WHERE state = 'pending';`,
  `ALTER TABLE tasks ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
   ALTER TABLE tasks ADD COLUMN session TEXT;
   ALTER TABLE tasks ADD COLUMN image TEXT;`,
  `ALTER TABLE tasks ADD COLUMN log_offset INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE tasks ADD COLUMN web_port INTEGER;
   ALTER TABLE tasks ADD COLUMN web_token_hash BLOB;
   ALTER TABLE tasks ADD COLUMN before_restart TEXT;
   ALTER TABLE runs ADD COLUMN session TEXT;
   ALTER TABLE runs ADD COLUMN ended_at TEXT;
   ALTER TABLE runs ADD COLUMN exit_code INTEGER;
   ALTER TABLE runs ADD COLUMN failure TEXT;
   ALTER TABLE runs ADD COLUMN summary TEXT;
   CREATE INDEX runs_by_task ON runs (task, id);
   CREATE TABLE repositories (
     project TEXT PRIMARY KEY,
     upstream_url TEXT NOT NULL UNIQUE,
     created_at TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE phantom_tokens (
     hash BLOB PRIMARY KEY,
     task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
     provider TEXT NOT NULL,
     credential_set TEXT NOT NULL,
     expires_at TEXT NOT NULL
   ) STRICT;
   CREATE INDEX phantom_tokens_by_task ON phantom_tokens (task);
   CREATE TABLE credential_use (
     task TEXT NOT NULL,
     provider TEXT NOT NULL,
     credential_set TEXT NOT NULL,
     requests INTEGER NOT NULL DEFAULT 0,
     input_tokens INTEGER NOT NULL DEFAULT 0,
     output_tokens INTEGER NOT NULL DEFAULT 0,
     cost_usd REAL NOT NULL DEFAULT 0,
     last_used_at TEXT,
     PRIMARY KEY (task, provider, credential_set)
   ) STRICT;
   CREATE TABLE budget_extensions (
     task TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
     times INTEGER NOT NULL
   ) STRICT;`,
];

/**
 * Opens (and migrates) the state database. Throws HostError for a database made by a newer release, which is
 * left untouched, or one that cannot be read.
 */
export function openDatabase(file: string): StateDatabase {
  return openMigrated({ file, migrations: MIGRATIONS, ifDamaged: IF_DAMAGED });
}

const IF_DAMAGED =
  'It is damaged. Restore it from a backup, or move it aside, which forgets the tasks in it.';

/** As `openDatabase`, for a database with a schema of its own. `ifDamaged` says what to do about a file that is no database. */
export function openMigrated(options: {
  readonly file: string;
  readonly migrations: readonly string[];
  readonly ifDamaged: string;
}): StateDatabase {
  const { file, migrations, ifDamaged } = options;
  const database = openFile(file);
  try {
    const version = Number(database.pragma('user_version', { simple: true }));
    if (version > migrations.length) {
      throw new HostError(
        `${file} was written by a newer terok-mcp (schema ${version}; this one knows ${migrations.length})`,
        {
          hint: 'Install the newer release again. Nothing was changed.',
        },
      );
    }
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('foreign_keys = ON');
    const migrate = database.transaction(() => {
      for (const sql of migrations.slice(version)) database.exec(sql);
      database.pragma(`user_version = ${migrations.length}`);
    });
    if (version < migrations.length) migrate.immediate();
    return database;
  } catch (error) {
    database.close();
    throw describe(file, error, ifDamaged);
  }
}

/**
 * A lock that ends with the process, however it ends: an exclusive transaction holds a POSIX lock, which the
 * kernel drops at exit. Throws ConflictError when another process holds it.
 */
export function acquireProcessLock(file: string): { release(): void } {
  const database = openFile(file, 0);
  try {
    database.pragma('journal_mode = MEMORY');
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (cause instanceof Database.SqliteError && cause.code === 'SQLITE_BUSY') {
      throw new ConflictError('Another terok-mcp daemon already runs for this state directory', { cause });
    }
    throw describe(file, cause);
  }
  return { release: () => database.close() };
}

function openFile(file: string, timeoutMs = 5_000): StateDatabase {
  try {
    const database = new Database(file, { timeout: timeoutMs });
    chmodSync(file, 0o600);
    return database;
  } catch (error) {
    throw describe(file, error);
  }
}

function describe(file: string, error: unknown, ifDamaged = IF_DAMAGED): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const storage = describeStorageFailure(error);
  if (storage !== undefined) return storage;
  const isDamaged = error.code === 'SQLITE_NOTADB' || error.code.startsWith('SQLITE_CORRUPT');
  return new HostError(`${file} cannot be opened (${error.code})`, {
    hint: isDamaged ? ifDamaged : 'Check that its directory exists and can be written.',
    cause: error,
  });
}
