/**
 * One entry per schema version of `vault.db`, applied in order and never edited after a release. What stands here in
 * the open is what is known of a record while the vault is locked; values are sealed.
 */
export const VAULT_MIGRATIONS: readonly string[] = [
  `CREATE TABLE vault_key (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     source TEXT NOT NULL,
     key_id TEXT NOT NULL,
     note TEXT NOT NULL,
     data_key BLOB NOT NULL
   ) STRICT;
   CREATE TABLE leftover_keys (
     key_id TEXT PRIMARY KEY,
     source TEXT NOT NULL,
     note TEXT NOT NULL
   ) STRICT;
   CREATE TABLE credentials (
     provider TEXT NOT NULL,
     credential_set TEXT NOT NULL,
     kind TEXT NOT NULL,
     version INTEGER NOT NULL,
     stored_at TEXT NOT NULL,
     expires_at TEXT,
     problem TEXT,
     sealed BLOB NOT NULL,
     PRIMARY KEY (provider, credential_set)
   ) STRICT;
   CREATE TABLE ssh_keys (
     project TEXT PRIMARY KEY,
     version INTEGER NOT NULL,
     type TEXT NOT NULL,
     fingerprint TEXT NOT NULL,
     public_key TEXT NOT NULL,
     comment TEXT NOT NULL,
     created_at TEXT NOT NULL,
     sealed BLOB NOT NULL
   ) STRICT;
   CREATE TABLE manifest (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     sealed BLOB NOT NULL
   ) STRICT;
   CREATE TABLE renewals (
     id TEXT PRIMARY KEY,
     provider TEXT NOT NULL,
     credential_set TEXT NOT NULL,
     version INTEGER NOT NULL,
     started_at TEXT NOT NULL
   ) STRICT;`,
];
