import { STATE_VERSION_2 } from './state-version-2.ts';

/** The state database as the release before the vault made it. */
export const STATE_VERSION_3 = `${STATE_VERSION_2}
   ALTER TABLE tasks ADD COLUMN log_offset INTEGER NOT NULL DEFAULT 0;
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
   ) STRICT;`;
